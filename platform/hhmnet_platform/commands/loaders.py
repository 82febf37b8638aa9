"""What each command does: functions that import it.

Each returns the dataclass or function whose fields or arguments are the command's options, and
what is done with it once these are parsed.
"""

from __future__ import annotations

from hhmnet_platform.scripts.entry import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Loaded = tuple[Callable[..., Any], Callable[[Any], object]]


def train_phase1() -> Loaded:
    from hhmnet_platform.runs.config import Phase1Job
    from hhmnet_platform.runs.launch import run_phase
    from hhmnet_platform.runs.startup import process_start_time

    return Phase1Job, lambda job: run_phase(job, began=process_start_time())


def train_phase2() -> Loaded:
    from hhmnet_platform.pipeline import run_phase2
    from hhmnet_platform.runs.config import Phase2Job
    from hhmnet_platform.runs.startup import process_start_time

    return Phase2Job, lambda job: run_phase2(job, began=process_start_time())


def pipeline() -> Loaded:
    from hhmnet_platform.pipeline import Pipeline, run_pipeline
    from hhmnet_platform.runs.startup import process_start_time

    return Pipeline, lambda job: run_pipeline(job, began=process_start_time())


def test() -> Loaded:
    from hhmnet_platform.serving.evaluate import EvaluationJob, run_evaluation

    return EvaluationJob, run_evaluation


def predict() -> Loaded:
    from hhmnet_platform.serving.job import PredictJob
    from hhmnet_platform.serving.predict import run_predict

    return PredictJob, run_predict


def export() -> Loaded:
    from hhmnet_platform.serving.export import ExportJob, run_export

    return ExportJob, run_export


def serve() -> Loaded:
    from hhmnet_platform.serving.server.job import ServeJob
    from hhmnet_platform.serving.server.run import run_serve

    return ServeJob, run_serve


def search_phase1() -> Loaded:
    from hhmnet_platform.search.config import Phase1Search
    from hhmnet_platform.search.run import run_search

    return Phase1Search, run_search


def search_phase2() -> Loaded:
    from hhmnet_platform.search.config import Phase2Search
    from hhmnet_platform.search.run import run_search

    return Phase2Search, run_search


def search_fusion() -> Loaded:
    from hhmnet_platform.fusion.search_weights import FusionSearch, run_fusion_search

    return FusionSearch, run_fusion_search


def fuse() -> Loaded:
    from hhmnet_platform.fusion.fixed_weights import FixedFusion, run_fixed_fusion

    return FixedFusion, run_fixed_fusion


def ensemble() -> Loaded:
    from hhmnet_platform.fusion.select_ensemble import EnsembleJob, run_ensemble

    return EnsembleJob, run_ensemble


def ablate_phase1() -> Loaded:
    from hhmnet_platform.ablation.jobs import Phase1Ablation, run_phase1_ablation

    return Phase1Ablation, run_phase1_ablation


def ablate_phase2() -> Loaded:
    from hhmnet_platform.ablation.jobs import Phase2Ablation, run_phase2_ablation

    return Phase2Ablation, run_phase2_ablation


def list_runs() -> Loaded:
    from hhmnet_platform.storage.listing import RunsListing, list_runs

    return RunsListing, list_runs


def show_runs() -> Loaded:
    from hhmnet_platform.storage.listing import RunsDisplay, show_runs

    return RunsDisplay, show_runs


def delete_runs() -> Loaded:
    from hhmnet_platform.storage.deletion import RunsDeletion, delete_runs

    return RunsDeletion, delete_runs


def ui() -> Loaded:
    from hhmnet_platform.storage.pages import Pages, open_pages

    return Pages, open_pages


def prepare_ntu() -> Loaded:
    from hhmnet_platform.datasets.builders import prepare_ntu

    return prepare_ntu, _print


def prepare_nw_ucla() -> Loaded:
    from hhmnet_platform.datasets.builders import prepare_nw_ucla

    return prepare_nw_ucla, _print


def prepare_utd_mhad() -> Loaded:
    from hhmnet_platform.datasets.builders import prepare_utd_mhad

    return prepare_utd_mhad, _print


def prepare_own() -> Loaded:
    from hhmnet_platform.datasets.builders import prepare_own

    return prepare_own, _print


def prepare_poses() -> Loaded:
    from hhmnet_platform.datasets.pose_builder import prepare_poses

    return prepare_poses, _print


def prepare_pyskl() -> Loaded:
    from hhmnet_platform.datasets.field_builders import prepare_pyskl

    return prepare_pyskl, _print


def prepare_ctr_gcn() -> Loaded:
    from hhmnet_platform.datasets.field_builders import prepare_ctr_gcn

    return prepare_ctr_gcn, _print


def prepare_synthetic() -> Loaded:
    from hhmnet_platform.datasets.builders import prepare_synthetic

    return prepare_synthetic, _print


def verify() -> Loaded:
    from hhmnet_platform.datasets.describe import verify

    return verify, _nothing


def describe() -> Loaded:
    from hhmnet_platform.datasets.describe import describe

    return describe, _nothing


def _print(prepared: Any) -> None:
    from rich.console import Console

    from hhmnet_platform.datasets.prepare import print_prepared

    print_prepared(prepared, Console(markup=False, emoji=False))


def _nothing(_: object) -> None:
    """All has been done."""
