"""Notices of the steps within an epoch, for which no step waits for its device."""

import math
import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hhmnet_core import notices
from hhmnet_core.notices import StepProgress
from hhmnet_core.training.mesh import Mesh


@dataclass(frozen=True)
class _Measured:
    """A notice whose loss is on its way from the device.

    Attributes:
        notice: The notice without its loss.
        loss: () the loss, on the host once the event has come.
        copied: Event after the copy. None on a CPU, where the loss is there at once.
    """

    notice: StepProgress
    loss: Tensor
    copied: torch.Event | None


class StepWatch:
    """Sends a notice every few seconds, of steps that the device has completed.

    Args:
        mesh: This process among the workers.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._mesh, self._notify = mesh, notices.listener()
        self._measured: _Measured | None = None

    def begin(self, epoch: int, done: int, steps: int) -> None:
        """Begin an epoch of some steps, of which some are done already."""
        self._epoch, self._first, self._step, self._steps = epoch, done, done, steps
        self._began = time.perf_counter()
        self._measured = None
        self._restart(self._began)

    def step(self, sums_m3: Tensor, clips: int) -> None:
        """Count a step. Must be called after every step.

        Args:
            sums_m3: (M, 3) what the step measured on this process: sums of the loss come first.
            clips: Number of clips of the global batch.
        """
        if self._notify is None:
            return
        rows = self._mesh.rows(clips)
        self._step += 1
        self._clips += clips
        self._own_clips += rows.stop - rows.start
        self._sums.append(sums_m3)
        now = time.perf_counter()
        if self._measured is None and now - self._since >= notices.INTERVAL_SECONDS:
            self._measured = self._measure(now)
            self._restart(now)
        if self._measured and (self._measured.copied is None or self._measured.copied.query()):
            self._notify(replace(self._measured.notice, loss=float(self._measured.loss)))
            self._measured = None

    def _restart(self, now: float) -> None:
        self._since = now
        self._clips = self._own_clips = 0
        self._sums: list[Tensor] = []

    def _measure(self, now: float) -> _Measured:
        sums_sm = torch.stack(self._sums)[..., 0]
        # From a GPU into page-locked memory, behind the work that the device still has to do.
        loss = (sums_sm.mean(1).sum() / self._own_clips).to("cpu", non_blocking=True)
        copied = None
        if sums_sm.device.type != "cpu":
            copied = torch.Event(sums_sm.device)
            copied.record()
        notice = StepProgress(
            self._epoch,
            self._step,
            self._steps,
            loss=math.nan,
            clips_per_second=self._clips / (now - self._since),
            step_seconds=(now - self._began) / (self._step - self._first),
        )
        return _Measured(notice, loss, copied)
