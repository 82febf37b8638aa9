"""When a report is due within an epoch: by time, and at the same step on all processes.

Clocks of processes differ, and a collective operation after every step would be paid for by every
step. So the processes compare their clocks every few seconds of training, at a step that they have
agreed on the time before, from the pace that they measured.
"""

import time
from collections.abc import Callable

from hhmnet_core.training.mesh import Mesh

COMPARE_SECONDS = 5.0


class Pace:
    """Counts steps and seconds since the last report.

    Args:
        mesh: The processes that have to agree.
        patience: How many seconds of training may go unsaved, asked anew at each comparison, on
            all processes at the same steps; the least answer counts. None: any number, and
            nothing is compared.
    """

    def __init__(self, mesh: Mesh, patience: Callable[[], float] | None) -> None:
        self._mesh, self._patience = mesh, patience
        self._apart = 1  # steps from one comparison to the next
        self.restart()

    def restart(self) -> None:
        """All is saved: time counts from now."""
        self._saved = self._compared = time.perf_counter()
        self._steps = 0

    @property
    def seconds(self) -> float:
        """Since the last restart."""
        return time.perf_counter() - self._saved

    def is_due(self) -> bool:
        """Whether a report is due after this step; to be asked after every step."""
        self._steps += 1
        if self._patience is None or self._steps < self._apart:
            return False
        now, patience = time.perf_counter(), self._patience()
        took, late, impatience = self._mesh.most(
            [now - self._compared, now - self._saved - patience, -patience]
        )
        left = -impatience if late >= 0 else -late
        step_seconds = max(took, 1e-9) / self._steps
        # At most twice as far as the last time: a pace measured on few steps may be far off.
        within = min(COMPARE_SECONDS, left) / step_seconds
        self._apart = max(1, min(int(within), 2 * self._apart))
        self._steps, self._compared = 0, now
        return late >= 0
