"""Search, both phases, fusion and ensemble in one command. Finished steps are not repeated."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace

from hhmnet_core.checks.names import check_name
from hhmnet_core.errors import InputError
from hhmnet_core.identity import JsonObject
from hhmnet_core.inputs.config import DataConfig, StoreConfig
from hhmnet_core.inputs.footage import check_video
from hhmnet_core.store.protocols import VAL
from hhmnet_core.store.reading import read_manifest
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.fusion.search_weights import FusionSearch, run_fusion_search
from hhmnet_platform.fusion.select_ensemble import EnsembleJob, run_ensemble
from hhmnet_platform.overrides import apply_overrides
from hhmnet_platform.runs.config import Phase1Job, Phase2Job, Placement
from hhmnet_platform.runs.launch import run_phase
from hhmnet_platform.search.config import Phase1Search, SearchConfig
from hhmnet_platform.search.run import run_search
from hhmnet_platform.serving.demonstration import demonstrate
from hhmnet_platform.storage.finished_run import FinishedRun
from hhmnet_platform.storage.workspace import Workspace, absolute_uri
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.experiments import experiment_name


@dataclass
class Pipeline(Placement):
    """Both phases: data, configs, workspace and workers.

    Attributes:
        data: Training data of both phases. Default: the demo's store, made if it does not exist.
        phase1: Config of phase 1, without data and seed.
        phase2: Config of phase 2, without data and seed.
        seed: Random seed of both phases, for initialisation, sampling and augmentation.
        search: Search over phase 1 before it is trained. Default: no search.
    """

    data: StoreConfig = field(default_factory=StoreConfig)
    phase1: Phase1Config = field(default_factory=Phase1Config)
    phase2: Phase2Config = field(default_factory=Phase2Config)
    seed: int = 1
    search: SearchConfig = field(default_factory=SearchConfig)

    def __post_init__(self) -> None:
        if self.name:
            check_name(self.name)
        if not self.search.space and self.search != SearchConfig():
            raise InputError(
                "search has no space: give the fields of phase 1 to search, such as "
                "--search.space '{contrast.temperature: {low: 0.03, high: 0.5}}', or no search "
                "options."
            )
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

    def search_job(self) -> Phase1Search:
        """Return the search over phase 1, named after the pipeline if that has a name."""
        study = self.search.study or (self.name and f"{self.name}-search")
        search = {name.name: getattr(self.search, name.name) for name in fields(SearchConfig)}
        return Phase1Search(**self._job("phase1") | {"name": ""} | search | {"study": study})

    def phase2_job(self, phase1: str) -> Phase2Job:
        """Return phase 2 under the guidance of a run."""
        return Phase2Job(**self._job("phase2"), phase1=phase1)

    def _job(self, phase: str) -> JsonObject:
        config = getattr(self, phase)
        placed = {name.name: getattr(self, name.name) for name in fields(Placement)}
        placed["name"] = self.name and f"{self.name}-{phase}"
        trained = {name.name: getattr(config, name.name) for name in fields(config)}
        same = {name.name: getattr(self.data, name.name) for name in fields(StoreConfig)}
        return placed | trained | {"data": replace(config.data, **same), "seed": self.seed}


def run_pipeline(job: Pipeline, began: float | None = None) -> None:
    """Search, train both phases, search their fusion weights and select an ensemble.

    Args:
        job: The pipeline.
        began: Start of the command, as from `time.time()`. None: now.

    Raises InputError for anything the user can cause.
    """
    first = job.phase1_job()
    if first.data.store:
        check_video(read_manifest(first.data.store), first.data.store)
    if job.search.space:
        print("search: hyper-parameters of phase 1", flush=True)
        first = apply_overrides(first, run_search(job.search_job()))
        print()
    name = _run_both(first, job.phase2_job, began)
    if name is None:
        return
    workspace = Workspace(absolute_uri(job.workspace))
    result = FinishedRun.read(workspace.run(name)).result
    print("\nfusion: weights of the five networks, searched on val", flush=True)
    if result.selection != VAL:
        print("Skipped: there is no validation split; use `hhmnet search fusion --folds`.")
        print("\nensemble\nSkipped: there is no validation split to select on.")
        return
    run_fusion_search(
        FusionSearch(
            runs=[result.tags[tags.GUIDE], name],
            workspace=workspace.uri,
            tracking_uri=job.tracking_uri,
        )
    )
    print("\nensemble: of all finished runs of the experiment", flush=True)
    experiment = experiment_name(result.dataset, result.protocol, VAL)
    model = run_ensemble(
        EnsembleJob(experiment, workspace=workspace.uri, tracking_uri=job.tracking_uri)
    )
    if model and not job.data.store:
        print("\nprediction: of a clip that nothing was trained on", flush=True)
        print("\n".join(demonstrate(model, workspace.at("demo/new-clip.mp4"))))


def run_phase2(job: Phase2Job, began: float | None = None) -> None:
    """Train phase 2; without a guiding run and a store, train the demo's phase 1 first.

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
    """Train both phases. Return the name of the phase-2 run, None for a dry run."""
    print("phase 1: the four skeletal modalities", flush=True)
    name = run_phase(first, began)
    print("\nphase 2: video guided by phase 1, and the fusion of both", flush=True)
    guide = Workspace(absolute_uri(first.workspace)).run(name)
    if guide.read_result() is None:  # a dry run
        print("Phase 2 can be planned once phase 1, which guides it, is trained.")
        return None
    name = run_phase(second(name))
    return None if first.dry_run else name
