"""What the user asks for: a phase's config, and where it runs."""

from dataclasses import dataclass, field

from hhmnet_core.errors import InputError
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.storage.workspace import default_workspace
from hhmnet_platform.tracking.uri import default_tracking


@dataclass
class Placement:
    """Where a phase runs, and on how much of the cluster.

    Attributes:
        workspace: Folder or URI that holds everything the run makes; $HHMNET_WORKSPACE if set.
        name: Of the run; empty: from the data set and a hash of the config.
        workers: W, processes that train, or MIN:MAX where nodes may come and go; null: one a GPU;
            without, in phase 1 one a CPU up to four, in phase 2 one.
        cpus_per_worker: CPU cores of a worker; null: an equal share.
        gpu: Train on GPUs; null: where there are any.
        tracking_uri: Of MLflow, $MLFLOW_TRACKING_URI if set; empty: a database in the workspace.
        max_failures: How often workers may die before the run gives up; what a node that was
            announced to be taken away costs does not count.
        checkpoint_minutes: Of training after which a checkpoint is taken within an epoch too; 0:
            after epochs alone.
        resize_minutes: That MIN:MAX workers train at least before their number is changed.
        price_per_worker_hour: In any currency, for what a run will cost; 0: not known.
        dry_run: Only say what the run would take.
    """

    workspace: str = field(default_factory=default_workspace)
    name: str = ""
    workers: int | str | None = None
    cpus_per_worker: int | None = None
    gpu: bool | None = None
    tracking_uri: str = field(default_factory=default_tracking)
    max_failures: int = 3
    checkpoint_minutes: float = 10.0
    resize_minutes: float = 1.0
    price_per_worker_hour: float = 0.0
    dry_run: bool = False


@dataclass
class Phase1Job(Placement, Phase1Config):
    """Phase 1: what is trained, where, and on how much of the cluster.

    Attributes:
        modality_parallel: P of 1, 2 or 4 that the modalities are split into; null: what divides W.
    """

    modality_parallel: int | None = None


@dataclass
class Phase2Job(Placement, Phase2Config):
    """Phase 2: what is trained, under whose guidance, where, and on how much of the cluster.

    Attributes:
        phase1: The finished phase-1 run that guides: its name in the workspace, its folder, or the
            id of one of its runs in MLflow; where no store is given, phase 2 reads that run's.
            Without either: the demo's, which is trained where it is not there yet.
    """

    phase1: str = ""


Job = Phase1Job | Phase2Job


def check_placement(placement: Placement) -> None:
    """Raises InputError for a number that cannot be."""
    for name in ("checkpoint_minutes", "resize_minutes", "price_per_worker_hour", "max_failures"):
        value = getattr(placement, name)
        if not 0 <= value < float("inf"):
            raise InputError(f"{name} must be at least 0, but is {value}.")


def phase_of(job: Job) -> str:
    """Its name, as in runs and tags."""
    return "phase1" if isinstance(job, Phase1Job) else "phase2"
