"""Calls of the deployments that end well, late, or not at all."""

import asyncio
from typing import Any

import numpy as np
import pytest
from ray.exceptions import RayActorError

from hhmnet_core.store.clips import Clip
from hhmnet_platform.serving.server.parameters import Parameters
from hhmnet_platform.serving.server.predictor import ServedPredictor
from hhmnet_platform.serving.server.recordings import ReadRecording
from hhmnet_platform.serving.server.refusals import RefusalError
from hhmnet_platform.serving.server.requests import JsonClips, Upload

pytest.importorskip("ray.serve")
UPLOAD = Upload("a.npy", b"")


class Call:
    """A call that is awaited, and can be cancelled."""

    def __init__(self, result: object = None, seconds: float = 0.0) -> None:
        self.result, self.seconds, self.is_cancelled = result, seconds, False

    def __await__(self) -> Any:
        yield from asyncio.sleep(self.seconds).__await__()
        if isinstance(self.result, Exception) and not isinstance(self.result, RefusalError):
            raise self.result
        return self.result

    def cancel(self) -> None:
        self.is_cancelled = True


class Method:
    """A method of a handle; it notes what it was called with."""

    def __init__(self, *calls: Call) -> None:
        self.calls, self.arguments = list(calls), []  # type: ignore[var-annotated]

    def remote(self, *arguments: object) -> Call:
        self.arguments.append(arguments)
        return self.calls[len(self.arguments) - 1]


class Handle:
    def __init__(self, **methods: Method) -> None:
        vars(self).update(methods)


def clips_of(*calls: Call, seconds: float = 5.0) -> list[Any]:
    predictor = ServedPredictor(Handle(predict=Method(*calls)), Handle(), 4, seconds)
    clips = JsonClips((np.ones((1, 1, 1)),) * len(calls), "")
    return asyncio.run(predictor.clips(clips, Parameters()))


def test_results_keep_the_order_of_the_clips() -> None:
    assert clips_of(Call("first", 0.05), Call("second")) == ["first", "second"]


def test_a_refusal_that_is_returned_is_raised() -> None:
    with pytest.raises(RefusalError, match="no joints"):
        clips_of(Call("first"), Call(RefusalError(422, "no joints")))


def test_a_late_call_is_cancelled() -> None:
    late = Call("late", 60)
    with pytest.raises(RefusalError, match=r"took more than 0.05 s") as caught:
        clips_of(late, seconds=0.05)
    assert caught.value.status == 503 and late.is_cancelled


def test_a_replica_that_has_ended() -> None:
    with pytest.raises(RefusalError, match="has ended, and is started again") as caught:
        clips_of(Call(RayActorError()))
    assert caught.value.status == 503


def test_a_queue_that_is_full() -> None:
    from ray.serve.exceptions import BackPressureError

    full = BackPressureError(num_queued_requests=9, max_queued_requests=9)
    with pytest.raises(RefusalError, match="is busy") as caught:
        clips_of(Call(full))
    assert caught.value.status == 503


def test_windows_are_predicted_in_batches() -> None:
    clip = Clip("a", 0, 0, 0, 0, np.ones((1, 1, 1, 1), np.float32))
    read = ReadRecording("a.npy", (clip,) * 7, ((0, 1),) * 7, 1, None, 0, None)
    predict = Method(Call(np.zeros((3, 2))), Call(np.ones((3, 2))), Call(np.full((1, 2), 2.0)))
    predictor = ServedPredictor(
        Handle(predict_clips=predict), Handle(read=Method(Call(read))), 3, 5.0
    )
    found, rows = asyncio.run(predictor.recording(UPLOAD, Parameters()))
    assert found is read and rows[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert [len(arguments[0]) for arguments in predict.arguments] == [3, 3, 1]
