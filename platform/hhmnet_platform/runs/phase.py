"""Interface of a training phase: all that differs between the phases."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import torch

from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.manifest import Manifest
from hhmnet_core.store.protocols import Split
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.records import EpochRecord
from hhmnet_core.training.reports import EpochReport
from hhmnet_platform.cluster.mesh_plan import MeshPlan, make_plan
from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.members import MEMBERS, TRAINED
from hhmnet_platform.runs.config import Job, check_placement
from hhmnet_platform.runs.run import Config, Run
from hhmnet_platform.storage.finished_run import FinishedRun
from hhmnet_platform.storage.results import MemberResult
from hhmnet_platform.storage.workspace import Workspace

if TYPE_CHECKING:
    from hhmnet_platform.presentation.drawing import Drawing

JobT = TypeVar("JobT", bound=Job)
ConfigT = TypeVar("ConfigT", bound=Config)
Tables = dict[str, ScoreTable]  # by split


@dataclass(frozen=True)
class StepMeasurement:
    """A training step of one worker, without communication.

    Attributes:
        seconds: Duration of the step.
        parameters: Number of parameters of each network.
    """

    seconds: float
    parameters: dict[str, int]


@dataclass(frozen=True)
class TrainingInputs:
    """The inputs of a worker's training.

    Attributes:
        clips: Clips of the store.
        mesh: Position of this process among the workers.
        device: Device that it trains on.
        guide: URI of the checkpoint that guides. "" for none.
        resume: Folder of the checkpoint to resume from. None for a new start.
        max_unsaved: Function that returns the seconds of training that may go unsaved. None:
            checkpoints at the end of epochs only.
        min_unsaved: Seconds of training after a checkpoint in which the ends of epochs have none.
        stack: Exit stack that keeps local copies of files until training ends.
    """

    clips: ClipSet
    mesh: Mesh
    device: torch.device
    guide: str
    resume: Path | None
    max_unsaved: Callable[[], float] | None
    min_unsaved: float
    stack: ExitStack


class Phase(ABC, Generic[JobT, ConfigT]):
    """A phase of training.

    Attributes:
        name: Name in run names, tags and results.
        job_type: Type of its jobs.
        config_type: Type of its configs.
        objective: Member whose validation top-1 a search maximises.
        search_example: Field that an error message suggests to search.
    """

    name: ClassVar[str]
    job_type: type[JobT]
    config_type: type[ConfigT]
    objective: ClassVar[str]
    search_example: ClassVar[str]

    @property
    def networks(self) -> tuple[str, ...]:
        """The members that it trains."""
        return TRAINED[self.name]

    @property
    def members(self) -> tuple[str, ...]:
        """The members that it reports on, the fusion last."""
        return MEMBERS[self.name]

    def config_of(self, job: JobT, store: str, protocol: str) -> ConfigT:
        """Return the config of a job, with its store and protocol resolved."""
        values = {each.name: getattr(job, each.name) for each in fields(self.config_type)}
        values["data"] = replace(values["data"], store=store, protocol=protocol)
        return self.config_type(**values)

    def plan_mesh(self, job: JobT, resources: Resources) -> MeshPlan:
        """Return the workers of a job. Raises InputError where they do not fit the resources."""
        check_placement(job)
        workers, modality_parallel = self.requested_mesh(job, resources)
        return make_plan(
            resources,
            workers=workers,
            modality_parallel=modality_parallel,
            networks=len(self.networks),
            gpu=job.gpu,
            cpus_per_worker=job.cpus_per_worker,
        )

    @abstractmethod
    def requested_mesh(
        self, job: JobT, resources: Resources
    ) -> tuple[int | str | None, int | None]:
        """Return the W and P that a job requests. None: derived from the resources."""

    @abstractmethod
    def data_digest(self, clips: ClipSet) -> str:
        """Return the digest of the data that decide the result."""

    @abstractmethod
    def max_data_parallel(self, config: ConfigT, num_training_clips: int) -> int:
        """Return the largest number of workers that a batch can be split over."""

    @abstractmethod
    def fit(self, config: ConfigT, inputs: TrainingInputs) -> Iterator[EpochReport]:
        """Train, on a worker."""

    @abstractmethod
    def measure_step(
        self, config: ConfigT, clips: ClipSet, guide: str, plan: MeshPlan, device: torch.device
    ) -> StepMeasurement:
        """Time a few training steps of one worker, in this process."""

    @abstractmethod
    def network_tables(self, run: Run) -> dict[str, Tables]:
        """Return the score tables of all networks that the run fuses, by network."""

    # Phase 1 has no guide, and its workers score the fusion; phase 2 starts from no model.

    def default_store(self, job: JobT, workspace: Workspace) -> str:
        """Return the store's URI for a job without --data.store. "" for the demo's."""
        return ""

    def with_models(self, config: ConfigT, job: JobT, workspace: Workspace) -> ConfigT:
        """Return the config with the places of the models that it names."""
        return config

    def check_clips(self, config: ConfigT, manifest: Manifest) -> None:
        """Raise InputError where a config does not fit the layout or the classes of its clips."""

    def guide(
        self, job: JobT, config: ConfigT, clips: ClipSet, workspace: Workspace
    ) -> FinishedRun | None:
        """Return the run that guides a job. Raises InputError where it does not fit."""
        return None

    def guide_digest(self, config: ConfigT, guide: FinishedRun | None) -> str | None:
        """Return the digest of the weights that guide, or that training starts from."""
        return None

    def guided_by(self, job: JobT, guide: str) -> JobT:
        """Return a job under the guidance of another run."""
        return job

    def command_options(self, job: JobT) -> dict[str, str]:
        """Return the options beside the config that a command for this job needs."""
        return {}

    def usable_split(self, config: ConfigT, split: Split) -> Split:
        """Return the clips of a split that the phase can use."""
        return split

    def notes(self, split: Split, usable: Split) -> tuple[str, ...]:
        """Return notes on the clips that the phase cannot use."""
        return ()

    def guide_results(self, run: Run, tables: dict[str, Tables]) -> dict[str, MemberResult]:
        """Return results of the guide's networks on the clips that the run scores."""
        return {}

    def write_fusion(self, run: Run, tables: dict[str, Tables]) -> dict[str, float]:
        """Write the fusion's score tables, where workers do not, and return its metrics."""
        return {}

    def extra_figures(
        self, run: Run, tables: dict[str, Tables], last: EpochRecord
    ) -> "dict[str, Drawing]":
        """Return figures beside those of each member, as functions that draw, by file name.

        Args:
            run: The run.
            tables: Score tables by member, the fusion's too.
            last: Record of the last epoch.
        """
        return {}
