"""Phase 2: a video network under the guidance of a finished phase-1 run, fused with that run."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from hhmnet_core.fusion.align import fuse, keep_shared_clips
from hhmnet_core.fusion.metrics import top1
from hhmnet_core.fusion.scores import write_scores
from hhmnet_core.inputs.footage import check_enough_filmed, keep_filmed, load_footage
from hhmnet_core.inputs.order import smallest_batch
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.protocols import Split
from hhmnet_core.training.evaluation import table_metrics
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_core.training.records import EpochRecord
from hhmnet_core.training.reports import EpochReport
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.members import FUSION, VIDEO
from hhmnet_platform.runs.config import Phase2Job
from hhmnet_platform.runs.guiding_run import check_guiding_run, find_guiding_run, weights_digest
from hhmnet_platform.runs.phase import Phase, StepMeasurement, Tables, TrainingInputs
from hhmnet_platform.runs.run import Run
from hhmnet_platform.storage.finished_run import FinishedRun
from hhmnet_platform.storage.results import MemberResult
from hhmnet_platform.storage.scores import load_all_scores, scores_file
from hhmnet_platform.storage.workspace import Workspace, local_copy
from hhmnet_platform.tracking import tags

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hhmnet_platform.presentation.drawing import Drawing


class Phase2(Phase[Phase2Job, Phase2Config]):
    """Phase 2, which trains one network and is fused with its guide by the driver."""

    name = "phase2"
    job_type = Phase2Job
    config_type = Phase2Config
    objective = VIDEO  # the fusion exists at the end of a run only
    search_example = "parts.temperature"

    def default_store(self, job: Phase2Job, workspace: Workspace) -> str:
        guide = find_guiding_run(job.phase1, workspace, job.tracking_uri)
        return guide.result.tags[tags.STORE]

    def requested_mesh(
        self, job: Phase2Job, resources: Resources
    ) -> tuple[int | str | None, int | None]:
        # A single process uses all the cores of a machine without GPUs.
        return (1 if job.workers is None and not resources.gpus else job.workers), 1

    def guide(
        self, job: Phase2Job, config: Phase2Config, clips: ClipSet, workspace: Workspace
    ) -> FinishedRun | None:
        run = find_guiding_run(job.phase1, workspace, job.tracking_uri)
        check_guiding_run(run, config.data, clips.skeletons)
        return run

    def guide_digest(self, config: Phase2Config, guide: FinishedRun | None) -> str | None:
        assert guide
        return weights_digest(guide, config.guidance.modality)

    def guided_by(self, job: Phase2Job, guide: str) -> Phase2Job:
        return replace(job, phase1=guide)

    def command_options(self, job: Phase2Job) -> dict[str, str]:
        return {"phase1": job.phase1}

    def data_digest(self, clips: ClipSet) -> str:
        return clips.manifest.digest

    def usable_split(self, config: Phase2Config, split: Split) -> Split:
        filmed = keep_filmed(split, load_footage(config.data.store))
        check_enough_filmed(filmed, config.data.selection)
        return filmed

    def notes(self, split: Split, usable: Split) -> tuple[str, ...]:
        counts = [
            f"{len(clips) - len(filmed)} of {len(clips)} {name} clips"
            for name, clips, filmed in (
                ("train", split.train, usable.train),
                ("val", split.val, usable.val),
                ("test", split.test, usable.test),
            )
            if len(filmed) < len(clips)
        ]
        note = f"clips without video, neither trained on nor scored: {', '.join(counts)}"
        return (note,) if counts else ()

    def max_data_parallel(self, config: Phase2Config, num_training_clips: int) -> int:
        return smallest_batch(num_training_clips, config.optim.batch)

    def fit(self, config: Phase2Config, inputs: TrainingInputs) -> Iterator[EpochReport]:
        # Not at the top: the backbones' library takes seconds to load, which phase 1 does not need.
        from hhmnet_core.training.phase2 import fitting

        return fitting.fit(
            config,
            inputs.clips,
            load_footage(config.data.store),
            local_copy(inputs.guide, inputs.stack),
            inputs.mesh,
            device=inputs.device,
            resume=inputs.resume,
            max_unsaved=inputs.max_unsaved,
            min_unsaved=inputs.min_unsaved,
        )

    def measure_step(
        self,
        config: Phase2Config,
        clips: ClipSet,
        guide: str,
        plan: MeshPlan,
        device: torch.device,
    ) -> StepMeasurement:
        from hhmnet_core.training.phase2 import fitting

        with ExitStack() as stack:
            seconds, num_parameters = fitting.measure_step_seconds(
                config,
                clips,
                load_footage(config.data.store),
                local_copy(guide, stack),
                device,
                data_parallel=plan.data_parallel,
            )
        return StepMeasurement(seconds, {VIDEO: num_parameters})

    def network_tables(self, run: Run) -> dict[str, Tables]:
        assert run.guide
        video = load_all_scores(run.folder, VIDEO)
        skeleton = {
            modality: {split: run.guide.scores(modality, split) for split in video}
            for modality in MODALITIES
        }
        return skeleton | {VIDEO: video}

    def guide_results(self, run: Run, tables: dict[str, Tables]) -> dict[str, MemberResult]:
        assert run.guide
        results = {}
        for modality in MODALITIES:
            filmed = {
                split: keep_shared_clips([tables[VIDEO][split], table])[1]
                for split, table in tables[modality].items()
            }
            epoch = run.guide.result.members[modality].epoch
            results[modality] = MemberResult.of(filmed, epoch)
        return results

    def write_fusion(self, run: Run, tables: dict[str, Tables]) -> dict[str, float]:
        """Write the fusion of the four modalities and video with equal weights.

        Only clips with a video are scored. The metrics have the same names as in phase 1.
        """
        metrics: dict[str, float] = {}
        for split, video in tables[VIDEO].items():
            skeleton = [tables[modality][split] for modality in MODALITIES]
            fused = fuse(keep_shared_clips([video, *skeleton]))
            write_scores(fused, f"{run.folder.uri}/{scores_file(FUSION, split)}")
            metrics |= {"best/val_top1": top1(fused)} if split == "val" else table_metrics(fused)
        return metrics

    def extra_figures(
        self, run: Run, tables: dict[str, Tables], last: EpochRecord
    ) -> "dict[str, Drawing]":
        from hhmnet_platform.figures.streams import (
            SKELETON,
            class_gains,
            part_similarity,
            side_by_side,
        )

        order = (*MODALITIES, VIDEO, FUSION)
        *four, video, fusion = keep_shared_clips([tables[member]["test"] for member in order])
        streams = {SKELETON: fuse(four), VIDEO: video, FUSION: fusion}
        return {
            "compared-test.png": lambda: side_by_side(streams),
            "class-gains-test.png": lambda: class_gains(*streams.values()),
            "part-similarity.png": lambda: part_similarity(last.metrics[VIDEO]),
            "guidance.png": lambda: self._guidance_figure(run),
        }

    def _guidance_figure(self, run: Run) -> "Figure":
        from hhmnet_platform.figures.guidance import guidance_figure

        assert isinstance(run.config, Phase2Config)
        with ExitStack() as stack:
            return guidance_figure(
                local_copy(run.guide_checkpoint, stack),
                run.config.guidance.modality,
                run.clips,
                load_footage(run.config.data.store),
                run.split.test.tolist(),
            )
