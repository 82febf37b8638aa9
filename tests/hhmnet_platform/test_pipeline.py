"""Both phases in one go: what is shared is given once, and phase 2 follows phase 1."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import DataConfig, StoreConfig
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform import pipeline
from hhmnet_platform.fusion.search_weights import FusionSearch
from hhmnet_platform.fusion.select_ensemble import EnsembleJob
from hhmnet_platform.pipeline import Pipeline, run_phase2, run_pipeline
from hhmnet_platform.runs.config import Phase1Job, Phase2Job
from hhmnet_platform.search.config import Phase1Search, SearchConfig
from hhmnet_platform.search.space import Dimension
from hhmnet_platform.storage.results import RunResult, format_result
from hhmnet_platform.tracking import tags


def _result(name: str, selection: str, guide: str) -> RunResult:
    return RunResult(
        run=name,
        phase="phase1",
        dataset="data",
        protocol="xsub",
        selection=selection,
        digest="d",
        members={},
        fitted=None,
        copies=(),
        not_filmed=0,
        mesh="1 worker",
        mesh_history=(),
        seconds=1.0,
        checkpoint="epoch-00002",
        identity={},
        tags={tags.GUIDE: guide},
        history=(),
    )


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """The jobs that were run; each leaves a result, as a run does."""
    jobs: list[Any] = []

    def run(job: Any, began: float | None = None) -> str:
        name = f"run-{len(jobs) + 1}"
        jobs.append(job)
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        if not job.dry_run:
            result = _result(name, job.data.selection, getattr(job, "phase1", ""))
            (folder / "result.json").write_bytes(format_result(result))
        return name

    monkeypatch.setattr(pipeline, "run_phase", run)

    def search(job: Any) -> dict[str, Any]:
        jobs.append(job)
        return {"contrast.temperature": 0.25}

    monkeypatch.setattr(pipeline, "run_ensemble", jobs.append)
    monkeypatch.setattr(pipeline, "run_fusion_search", jobs.append)
    monkeypatch.setattr(pipeline, "run_search", search)
    monkeypatch.setattr(pipeline, "read_manifest", lambda store: store)
    monkeypatch.setattr(pipeline, "check_video", lambda manifest, store: manifest)
    return jobs


def test_both_phases_share_store_seed_and_place(
    trained: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = Pipeline(
        workspace=str(tmp_path),
        name="mine",
        workers=2,
        data=StoreConfig("store", "xsub", "literature"),
        phase1=Phase1Config(data=DataConfig(frames=32), optim=OptimConfig(epochs=5)),
        seed=7,
    )
    run_pipeline(job)
    first, second = trained
    assert isinstance(first, Phase1Job) and isinstance(second, Phase2Job)
    assert first.data == DataConfig("store", "xsub", "literature", frames=32)
    assert second.data == StoreConfig("store", "xsub", "literature")
    assert (first.optim.epochs, first.seed, second.seed) == (5, 7, 7)
    assert (first.name, second.name) == ("mine-phase1", "mine-phase2")
    assert first.workers == second.workers == 2
    assert second.phase1 == "run-1"
    assert "there is no validation split to select on" in capsys.readouterr().out


def test_what_the_search_finds_is_trained_whole(trained: list[Any], tmp_path: Path) -> None:
    search = SearchConfig(space={"contrast.temperature": Dimension(0.1, 0.5)}, trials=7, epochs=3)
    run_pipeline(Pipeline(workspace=str(tmp_path), name="mine", seed=5, search=search))
    asked, first = trained[:2]
    assert isinstance(asked, Phase1Search)
    assert (asked.study, asked.name, asked.seed) == ("mine-search", "", 5)
    assert (asked.trials, asked.epochs, asked.space) == (7, 3, search.space)
    assert (first.contrast.temperature, first.optim) == (0.25, OptimConfig())


def test_search_without_a_space_and_names_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="search has no space"):
        Pipeline(search=SearchConfig(trials=5))
    with pytest.raises(InputError, match="'a/b' cannot be used"):
        Pipeline(name="a/b")


def test_fusion_and_ensemble_come_last(trained: list[Any], tmp_path: Path) -> None:
    run_pipeline(Pipeline(workspace=str(tmp_path), tracking_uri="http://there"))
    assert [type(job) for job in trained] == [Phase1Job, Phase2Job, FusionSearch, EnsembleJob]
    fusion, ensemble = trained[-2:]
    assert (fusion.runs, fusion.tracking_uri) == (["run-1", "run-2"], "http://there")
    assert (ensemble.experiment, ensemble.tracking_uri) == ("data/xsub", "http://there")


def test_dry_run_plans_phase2_only_under_a_finished_guide(
    trained: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_pipeline(Pipeline(workspace=str(tmp_path), dry_run=True))
    assert [type(job) for job in trained] == [Phase1Job]
    assert "can be planned once phase 1, which guides it, is trained" in capsys.readouterr().out


def test_phase2_without_arguments_trains_the_demo_first(trained: list[Any], tmp_path: Path) -> None:
    job = Phase2Job(workspace=str(tmp_path), name="mine", max_failures=1)
    run_phase2(job)
    first, second = trained
    assert isinstance(first, Phase1Job)
    assert (first.name, first.max_failures, first.data.store) == ("", 1, "")
    assert second == replace(job, phase1="run-1")


@pytest.mark.parametrize("given", [{"phase1": "run-9"}, {"data": StoreConfig("store")}])
def test_phase2_with_a_guide_or_a_store_is_left_alone(
    trained: list[Any], tmp_path: Path, given: dict[str, Any]
) -> None:
    job = Phase2Job(workspace=str(tmp_path), **given)
    run_phase2(job)
    assert trained == [job]


@pytest.mark.parametrize(
    "given",
    [
        {"phase1": Phase1Config(data=DataConfig(store="store"))},
        {"phase1": Phase1Config(seed=3)},
        {"phase2": Phase2Config(data=StoreConfig(selection="literature"))},
    ],
)
def test_what_is_shared_cannot_be_given_twice(given: dict[str, Any]) -> None:
    (phase,) = given
    with pytest.raises(InputError, match=rf"{phase} has .* once, for both phases"):
        Pipeline(**given)
