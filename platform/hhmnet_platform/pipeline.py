"""Phase 1, phase 2 and the ensemble in one go; what is done already is not done again."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from hhmnet_core.data.batches import DataConfig, StoreConfig
from hhmnet_core.data.footage import check_video
from hhmnet_core.data.store import read_manifest
from hhmnet_core.errors import InputError
from hhmnet_core.training.phase1 import Phase1Config
from hhmnet_core.training.phase2_config import Phase2Config
from hhmnet_platform.ensemble_job import EnsembleJob, run_ensemble
from hhmnet_platform.job import Phase1Job, Phase2Job, Placement
from hhmnet_platform.train import run_phase
from hhmnet_platform.workspace import RESULT, Workspace, absolute


@dataclass
class Pipeline(Placement):
    """Both phases: what is trained, where, and on how much of the cluster.

    Attributes:
        data: What both are trained on; without a store, the demo's, which is made.
        phase1: The four skeletal modalities; what `data` and `seed` say counts for both phases.
        phase2: The video network; likewise.
        seed: Of everything random, in both.
    """

    data: StoreConfig = field(default_factory=StoreConfig)
    phase1: Phase1Config = field(default_factory=Phase1Config)
    phase2: Phase2Config = field(default_factory=Phase2Config)
    seed: int = 1

    def __post_init__(self) -> None:
        for phase in ("phase1", "phase2"):
            config = getattr(self, phase)
            same = {name.name: getattr(config.data, name.name) for name in fields(StoreConfig)}
            if StoreConfig(**same) != StoreConfig() or config.seed != 1:
                raise InputError(
                    f"{phase} has a store, protocol, selection or seed of its own: give --seed and "
                    "--data.store, --data.protocol, --data.selection once, for both phases."
                )

    def phase1_job(self) -> Phase1Job:
        return Phase1Job(**self._job("phase1"))

    def phase2_job(self, phase1: str) -> Phase2Job:
        """Under the guidance of that run."""
        return Phase2Job(**self._job("phase2"), phase1=phase1)

    def _job(self, phase: str) -> dict[str, Any]:
        config = getattr(self, phase)
        placed = {name.name: getattr(self, name.name) for name in fields(Placement)}
        placed["name"] = self.name and f"{self.name}-{phase}"
        trained = {name.name: getattr(config, name.name) for name in fields(config)}
        same = {name.name: getattr(self.data, name.name) for name in fields(StoreConfig)}
        return placed | trained | {"data": replace(config.data, **same), "seed": self.seed}


def run_pipeline(job: Pipeline, began: float | None = None) -> None:
    """Trains, resumes or finds both phases, and selects the ensemble of all that there is.

    Args:
        job: What the user asks for.
        began: When the command was given, as `time.time()` says it; None for now.

    Raises InputError for anything the user can cause.
    """
    name = _run_both(job.phase1_job(), job.phase2_job, began)
    if name is None:
        return
    print("\nensemble: of all finished runs of the experiment", flush=True)
    workspace = Workspace(absolute(job.workspace))
    result = workspace.run(name).result()
    if result["selection"] != "val":
        print("None: selection literature holds nothing out to choose by.")
        return
    experiment = f"{result['dataset']}/{result['protocol']}"
    run_ensemble(EnsembleJob(experiment, workspace=workspace.uri, tracking_uri=job.tracking_uri))


def run_phase2(job: Phase2Job, began: float | None = None) -> None:
    """Phase 2; of a job that names neither a phase-1 run nor a store, with the demo's phase 1.

    Args and errors as for `run_pipeline`.
    """
    if job.phase1 or job.data.store:
        run_phase(job, began)
        return
    placed = {name.name: getattr(job, name.name) for name in fields(Placement)} | {"name": ""}
    data = DataConfig(protocol=job.data.protocol, selection=job.data.selection)
    _run_both(Phase1Job(data=data, **placed), lambda name: replace(job, phase1=name), began)


def _run_both(
    first: Phase1Job, second: Callable[[str], Phase2Job], began: float | None
) -> str | None:
    """The phase-2 run's name; None where nothing was to be trained."""
    if first.data.store:
        check_video(read_manifest(first.data.store), first.data.store)
    print("phase 1: the four skeletal modalities", flush=True)
    name = run_phase(first, began)
    print("\nphase 2: video under their guidance, and the fusion of all", flush=True)
    guide = Workspace(absolute(first.workspace)).run(name)
    if guide.read_json(RESULT) is None:  # a dry run
        print("It can be planned when phase 1 has been trained, which guides it.")
        return None
    name = run_phase(second(name))
    return None if first.dry_run else name
