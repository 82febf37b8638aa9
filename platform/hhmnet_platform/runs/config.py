"""Jobs: the config of a phase, and where it runs. Their attributes are the command-line options."""

from dataclasses import dataclass, field
from typing import ClassVar

from hhmnet_core.checks.bounds import check_bounds
from hhmnet_core.errors import InputError
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.cluster.ray_environment import cluster_address
from hhmnet_platform.storage.workspace import default_workspace
from hhmnet_platform.tracking.uri import default_tracking

MAX_MINUTES = 525_600  # a year


@dataclass
class Placement:
    """Where a phase runs, and on how much of the cluster.

    Attributes:
        workspace: Folder or URI for everything the run writes. Default: $HHMNET_WORKSPACE, else
            `workspace`.
        name: Run name. Default: `<data set>-<phase>-<hash of the config>`.
        workers: Number of training workers, or MIN:MAX for an elastic run. Default: one per GPU;
            without GPUs, one per CPU up to four (phase 1) or one (phase 2).
        cpus_per_worker: CPU cores of a worker. Default: an equal share of each node.
        gpu: Training on GPUs. Default: true where there are any.
        tracking_uri: MLflow tracking URI. Default: $MLFLOW_TRACKING_URI, else an SQLite file in
            the workspace.
        max_failures: Worker failures tolerated before the run gives up. Nodes whose removal was
            announced do not count.
        checkpoint_minutes: Minutes of training between checkpoints within an epoch. 0 saves at the
            end of epochs only.
        min_checkpoint_seconds: Seconds of training after a checkpoint in which no epoch ends with
            one, so that short epochs share it. 0 saves at the end of each epoch.
        resize_minutes: Minimum minutes between two changes of the number of workers (with
            --workers MIN:MAX).
        price_per_worker_hour: Price of a worker for an hour, in any currency, for the cost
            estimate. 0: no estimate.
        system_metrics: Use of each node's CPUs, memory and GPUs among the system metrics in MLflow.
        dashboard: Ray's dashboard for a run on this machine, on loopback and behind a token. A
            cluster has its own.
        log_workers: Output of the worker processes on this terminal too, each line after the name
            of its process.
        dry_run: Print the plan (nodes, mesh, steps, time, disk, cost) and exit.
    """

    workspace: str = field(default_factory=default_workspace)
    name: str = ""
    workers: int | str | None = None
    cpus_per_worker: int | None = None
    gpu: bool | None = None
    tracking_uri: str = field(default_factory=default_tracking)
    max_failures: int = 3
    checkpoint_minutes: float = 10.0
    min_checkpoint_seconds: float = 5.0
    resize_minutes: float = 1.0
    price_per_worker_hour: float = 0.0
    system_metrics: bool = True
    dashboard: bool = False
    log_workers: bool = False
    dry_run: bool = False


@dataclass
class Phase1Job(Placement, Phase1Config):
    """Phase 1: config, workspace and workers.

    Attributes:
        modality_parallel: Number of workers that share the four modalities: 1, 2 or 4. Default: the
            largest that divides the number of workers.
    """

    phase: ClassVar[str] = "phase1"
    modality_parallel: int | None = None


@dataclass
class Phase2Job(Placement, Phase2Config):
    """Phase 2: config, guiding run, workspace and workers.

    Attributes:
        phase1: Finished phase-1 run that guides: its name in the workspace, its folder, the id of
            one of its runs in MLflow, or its model (models:/NAME/1, runs:/ID). Without
            --data.store, phase 2 reads that run's store. Default without either: the demo's run,
            which is trained if it does not exist.
    """

    phase: ClassVar[str] = "phase2"
    phase1: str = ""


Job = Phase1Job | Phase2Job


def check_placement(placement: Placement) -> None:
    """Raise InputError for numbers out of range, and for options that do not go together."""
    check_bounds(
        placement,
        "",
        checkpoint_minutes=(0, MAX_MINUTES),
        min_checkpoint_seconds=(0, 60 * MAX_MINUTES),
        resize_minutes=(0, MAX_MINUTES),
        price_per_worker_hour=(0, 1e9),
        max_failures=(0, 1000),
    )
    if placement.dashboard and (address := cluster_address()):
        raise InputError(
            f"--dashboard is for a Ray that is started here, but RAY_ADDRESS={address} names a "
            "cluster, which has its own: leave it out, and open port 8265 of the head node."
        )
