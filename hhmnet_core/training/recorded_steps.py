"""Training steps that a GPU records once for each shape of their inputs, and then replays.

A step of small networks is hundreds of kernels, each shorter than its launch. A CUDA graph holds
them all, and is launched as one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.transfer import tensors_of, with_tensors
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig

WARM_UP = 3  # steps of a shape before it is recorded: they compile, and set up what is done once

Work = Callable[[], Tensor]


class Recorder(Protocol):
    """Records the operations of a step. A step that is recorded is not taken."""

    def run(self, work: Work) -> Tensor:
        """Return what `work` returns, run in the way in which it is recorded later."""

    def record(self, work: Work) -> tuple[Callable[[], None], Tensor]:
        """Return a function that replays `work`, and the tensor that then holds its result."""


class GraphRecorder:
    """Records CUDA graphs, which share their memory: one is replayed at a time.

    Args:
        device: GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._stream = device, torch.cuda.Stream(device)
        self._memory = torch.cuda.graph_pool_handle()

    def run(self, work: Work) -> Tensor:
        # On the stream that records: autograd accumulates a gradient where it first did so.
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            result = work()
        current.wait_stream(self._stream)
        return result

    def record(self, work: Work) -> tuple[Callable[[], None], Tensor]:
        graph = torch.cuda.CUDAGraph()
        # Meanwhile another thread reserves page-locked memory for the inputs of the next step.
        with torch.cuda.graph(graph, self._memory, self._stream, capture_error_mode="thread_local"):
            result = work()
        return graph.replay, result


def check_recordable(config: OptimConfig, mesh: Mesh, device: torch.device) -> None:
    """Check that steps can be recorded, if the config asks for it. Raises InputError if not."""
    if not config.capture:
        return
    if device.type != "cuda":
        raise InputError("optim.capture is true, but there is no GPU here: set it to false.")
    workers = mesh.data * mesh.modality
    if workers > 1:
        raise InputError(
            f"optim.capture is for one worker, but there are {workers}: set it to false, or take "
            "one worker."
        )


@dataclass(frozen=True)
class _Recording:
    """A recorded step.

    Attributes:
        inputs: Tensors that it reads.
        replay: Takes a step.
        result: Sums of the step that was taken last.
    """

    inputs: list[Tensor]
    replay: Callable[[], None]
    result: Tensor


class RecordedSteps:
    """Takes training steps, recorded ones wherever inputs have a shape that was seen before.

    Args:
        take_step: Takes a step: arguments are those of `Trainer.take_step`. For inputs of one shape
            and batches of one size, its operations differ by nothing but the content of the
            inputs, the learning rate and the average's weight.
        recorder: Records steps.
        device: Device of the steps.
    """

    def __init__(
        self, take_step: Callable[..., Tensor], recorder: Recorder, device: torch.device
    ) -> None:
        self._take_step, self._recorder = take_step, recorder
        self._steps_seen: dict[object, int] = {}
        self._recordings: dict[object, _Recording] = {}
        self._rate, self._weight = (torch.zeros((), device=device) for _ in range(2))

    def __call__(self, share: Any, inputs: Any, rate: float, weight: float) -> Tensor:
        tensors = list(tensors_of(inputs))
        self._rate.fill_(rate)
        self._weight.fill_(weight)
        shapes = tuple((tensor.shape, tensor.dtype) for tensor in tensors)
        kind = (share.total, share.rows.start, share.rows.stop, shapes)
        recording = self._recordings.get(kind)
        if recording is None:
            seen = self._steps_seen[kind] = self._steps_seen.get(kind, 0) + 1
            if seen <= WARM_UP:
                return self._recorder.run(lambda: self._take(share, inputs))
            recording = self._recordings[kind] = self._record(share, inputs, tensors)
        for known, given in zip(recording.inputs, tensors, strict=True):
            known.copy_(given)
        recording.replay()
        return recording.result.clone()

    def _record(self, share: Any, inputs: Any, tensors: list[Tensor]) -> _Recording:
        kept = [tensor.clone() for tensor in tensors]
        same = with_tensors(inputs, iter(kept))
        return _Recording(kept, *self._recorder.record(lambda: self._take(share, same)))

    def _take(self, share: Any, inputs: Any) -> Tensor:
        return self._take_step(share, inputs, self._rate, self._weight)
