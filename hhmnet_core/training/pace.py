"""Decide when a report is due: by time, and at the same step on all processes.

Clocks of processes differ, and a collective operation after every step would slow every step down.
So the processes compare their clocks every few seconds of training, at a step that they agreed on
at the previous comparison, from the measured pace.
"""

import time
from collections.abc import Callable

from hhmnet_core.training.mesh import Mesh

COMPARE_SECONDS = 5.0


class Pace:
    """Counts the steps and the seconds since the last report.

    Args:
        mesh: Processes that have to agree.
        max_unsaved: Returns the seconds of training that may go unsaved. All processes call it at
            the same steps, once per comparison; the smallest answer counts. None: no report is ever
            due, and nothing is compared.
    """

    def __init__(self, mesh: Mesh, max_unsaved: Callable[[], float] | None) -> None:
        self._mesh, self._max_unsaved = mesh, max_unsaved
        self._steps_between = 1  # from one comparison to the next
        self.restart()

    def restart(self) -> None:
        """Count from now on: everything is saved."""
        self._saved = self._compared = time.perf_counter()
        self._begun = self._saved
        self._steps = 0

    def begin_epoch(self) -> None:
        """Count the seconds of an epoch from now on."""
        self._begun = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the last restart."""
        return time.perf_counter() - self._saved

    @property
    def epoch_seconds(self) -> float:
        """Seconds since the epoch began, or since the last restart within it."""
        return time.perf_counter() - self._begun

    def has_passed(self, seconds: float) -> bool:
        """Return whether so many seconds have passed since the last restart, on any process.

        All processes have to call it at the same step.
        """
        return not seconds or self._mesh.maximum([self.seconds])[0] >= seconds

    def is_due(self) -> bool:
        """Return whether a report is due after this step. Must be called after every step."""
        self._steps += 1
        if self._max_unsaved is None or self._steps < self._steps_between:
            return False
        now, allowed = time.perf_counter(), self._max_unsaved()
        took, overdue, negated_allowed = self._mesh.maximum(
            [now - self._compared, now - self._saved - allowed, -allowed]
        )
        left = -negated_allowed if overdue >= 0 else -overdue
        step_seconds = max(took, 1e-9) / self._steps
        # At most twice as far as the last time: a pace measured on few steps may be far off.
        steps_left = min(COMPARE_SECONDS, left) / step_seconds
        self._steps_between = max(1, min(int(steps_left), 2 * self._steps_between))
        self._steps, self._compared = 0, now
        return overdue >= 0
