"""Phase 1: one encoder for each skeletal modality."""

from collections.abc import Iterator
from dataclasses import replace

import torch

from hhmnet_core.inputs.order import smallest_batch
from hhmnet_core.models.registry import encoder_type
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.manifest import Manifest
from hhmnet_core.training.phase1 import fitting
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.trainer import make_encoder
from hhmnet_core.training.reports import EpochReport
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.members import FUSION
from hhmnet_platform.runs.config import Phase1Job
from hhmnet_platform.runs.initial_model import (
    check_initial_model,
    initial_digest,
    read_initial_weights,
)
from hhmnet_platform.runs.phase import Phase, StepMeasurement, Tables, TrainingInputs
from hhmnet_platform.runs.run import Run
from hhmnet_platform.storage.find_model import find_model
from hhmnet_platform.storage.finished_run import FinishedRun
from hhmnet_platform.storage.scores import load_all_scores
from hhmnet_platform.storage.workspace import Workspace


class Phase1(Phase[Phase1Job, Phase1Config]):
    """Phase 1, which has no guide; its workers also score the fusion."""

    name = "phase1"
    job_type = Phase1Job
    config_type = Phase1Config
    objective = FUSION
    search_example = "contrast.temperature"

    def requested_mesh(
        self, job: Phase1Job, resources: Resources
    ) -> tuple[int | str | None, int | None]:
        return job.workers, job.modality_parallel

    def data_digest(self, clips: ClipSet) -> str:
        return clips.skeletons

    def with_models(
        self, config: Phase1Config, job: Phase1Job, workspace: Workspace
    ) -> Phase1Config:
        if not config.init_from:
            return config
        return replace(config, init_from=find_model(config.init_from, workspace, job.tracking_uri))

    def check_clips(self, config: Phase1Config, manifest: Manifest) -> None:
        if config.init_from:
            check_initial_model(config, manifest)

    def guide_digest(self, config: Phase1Config, guide: FinishedRun | None) -> str | None:
        return initial_digest(config.init_from) if config.init_from else None

    def max_data_parallel(self, config: Phase1Config, num_training_clips: int) -> int:
        if not encoder_type(config.model.name).batch_independent:
            return 1
        return smallest_batch(num_training_clips, config.optim.batch)

    def fit(self, config: Phase1Config, inputs: TrainingInputs) -> Iterator[EpochReport]:
        manifest = inputs.clips.manifest
        return fitting.fit(
            config,
            inputs.clips,
            inputs.mesh,
            device=inputs.device,
            resume=inputs.resume,
            max_unsaved=inputs.max_unsaved,
            min_unsaved=inputs.min_unsaved,
            initial=read_initial_weights(config.init_from, manifest) if config.init_from else None,
        )

    def measure_step(
        self,
        config: Phase1Config,
        clips: ClipSet,
        guide: str,
        plan: MeshPlan,
        device: torch.device,
    ) -> StepMeasurement:
        seconds = fitting.measure_step_seconds(
            config,
            clips,
            device,
            data_parallel=plan.data_parallel,
            modality_parallel=plan.modality_parallel,
        )
        encoders = {m: make_encoder(config, m, clips) for m in MODALITIES}
        return StepMeasurement(
            seconds,
            {m: sum(p.numel() for p in encoder.parameters()) for m, encoder in encoders.items()},
        )

    def network_tables(self, run: Run) -> dict[str, Tables]:
        return {modality: load_all_scores(run.folder, modality) for modality in MODALITIES}
