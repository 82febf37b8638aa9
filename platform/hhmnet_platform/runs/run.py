"""A run: all that is known before anything starts."""

from dataclasses import dataclass

from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.protocols import Split
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.members import FUSION
from hhmnet_platform.storage.finished_run import FinishedRun
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.storage.run_identity import RunIdentity
from hhmnet_platform.tracking.tracked_run import TrackedRun

Config = Phase1Config | Phase2Config


@dataclass(frozen=True)
class Run:
    """All that is known of a run before anything starts.

    Attributes:
        phase: Name of the phase, "phase1" or "phase2".
        config: Config of the phase, with an absolute store URI and the protocol named.
        clips: Clips of the store.
        split: Clips for training, validation and test.
        folder: Folder of the run.
        identity: All that decides the result.
        tracked: Description of the run for MLflow.
        guide: Phase-1 run that guides phase 2. None in phase 1.
        notes: Lines that the user should see before it starts.
    """

    phase: str
    config: Config
    clips: ClipSet
    split: Split
    folder: RunFolder
    identity: RunIdentity
    tracked: TrackedRun
    guide: FinishedRun | None = None
    notes: tuple[str, ...] = ()

    @property
    def members(self) -> tuple[str, ...]:
        """The members that it reports on, the fusion last."""
        return self.tracked.members

    @property
    def networks(self) -> tuple[str, ...]:
        """The members that it trains."""
        return tuple(member for member in self.members if member != FUSION)

    @property
    def guide_checkpoint(self) -> str:
        """URI of the checkpoint that guides phase 2. "" in phase 1."""
        return self.guide.checkpoint if self.guide else ""
