"""A thread that keeps MLflow up to date, so that training never waits for a server."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from hhmnet_core.disk_space import is_disk_full
from hhmnet_core.errors import InputError
from hhmnet_core.notices import StepProgress
from hhmnet_core.passwords import one_line, without_password
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.tracking.client import LONGEST_REASON, reason_of
from hhmnet_platform.tracking.models import TrackedModel
from hhmnet_platform.tracking.run_writer import MlflowWriter, TimedSteps
from hhmnet_platform.tracking.tracked_run import Ending, NodeSample
from hhmnet_platform.tracking.uri import experiment_page

RETRY_SECONDS = 10.0


class BackgroundTracker:
    """Writes a run to MLflow from a thread, and retries while MLflow cannot be reached.

    Args:
        writer: Writer of the run.
        notify: Function to call with a notice for the user when MLflow fails or recovers.
    """

    def __init__(self, writer: MlflowWriter, notify: Callable[[str], None]) -> None:
        self._writer = writer
        self._notify = notify
        self._history: Sequence[EpochRecord] = ()
        self._usage: list[NodeSample] = []  # what MLflow lacks
        self._steps: list[TimedSteps] = []
        self._ending: Ending | None = None
        self._is_complete = False
        self._is_away = False
        self._changed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._thread.start()

    @property
    def page(self) -> str:
        """The path of the experiment's page behind the address of MLflow's web server."""
        return experiment_page(self._writer.experiment_id)

    @property
    def model(self) -> TrackedModel | None:
        """The run's model in MLflow. None before `finish`, and for a run without a model."""
        return self._writer.model

    def update(self, history: Sequence[EpochRecord]) -> None:
        """Hand over the whole history, and return at once."""
        self._history = history
        self._changed.set()

    def add_usage(self, epoch: int, usage: Mapping[str, Mapping[str, float]]) -> None:
        """Hand over the mean use of nodes since the last time, by host, and return at once.

        Unlike the history it is kept in this process alone.
        """
        now = int(1000 * time.time())
        self._usage += [NodeSample(now, epoch, host, used) for host, used in usage.items()]
        self._changed.set()

    def add_steps(self, progress: StepProgress) -> None:
        """Hand over the progress within an epoch, and return at once."""
        self._steps.append(TimedSteps(time.time(), progress))
        self._changed.set()

    def finish(self, ending: Ending, timeout: float = 90.0) -> bool:
        """Write what is left and end the MLflow runs.

        Args:
            ending: Files, tags and status to write last.
            timeout: Seconds to wait for MLflow.

        Returns:
            True if MLflow holds everything.
        """
        self._ending = ending
        self._changed.set()
        self._thread.join(timeout)
        return self._is_complete

    def _work(self) -> None:
        while True:
            ending = self._ending
            is_written = self._try_to_write(ending)
            if ending is not None:
                self._is_complete = is_written
                return
            self._changed.wait(RETRY_SECONDS if self._is_away else None)
            self._changed.clear()

    def _try_to_write(self, ending: Ending | None) -> bool:
        try:
            if not self._writer.is_connected:
                self._writer.connect()
            self._writer.write(self._history)
            if waiting := self._usage[:]:
                self._writer.write_usage(waiting)
                del self._usage[: len(waiting)]
            if steps := self._steps[:]:
                self._writer.write_steps(steps)
                del self._steps[: len(steps)]
            if ending is not None:
                self._writer.finish(ending)
        except Exception as error:  # whatever MLflow raises, training continues
            self._writer.disconnect()
            self._set_away(True, self._reason(error))
            return False
        self._set_away(False)
        return True

    def _set_away(self, is_away: bool, reason: str = "") -> None:
        """Notify the user of a change, once."""
        if is_away and not self._is_away:
            self._notify(
                f"{reason} The run continues; missing metrics are written as soon as possible."
            )
        elif self._is_away and not is_away:
            self._notify("MLflow can be reached again and is up to date.")
        self._is_away = is_away

    def _reason(self, error: Exception) -> str:
        if isinstance(error, InputError):
            return str(error)
        first_line = one_line((str(error).strip().splitlines() or [type(error).__name__])[0])
        if is_disk_full(error):
            reason = reason_of(error, self._writer.run.uri)
        elif "Max retries exceeded" in first_line:
            reason = "no server answers"
        else:
            reason = first_line[:LONGEST_REASON]
        return without_password(
            f"MLflow at {self._writer.run.uri} cannot be written to ({reason})."
        )
