"""The deployments in Ray Serve: replicas of the model, and one that reads files.

They are apart, because a video takes long to read and its decoder may crash: neither stops the
predictions of others.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray import serve

from hhmnet_core.deploy.description import ModelDescription
from hhmnet_core.deploy.model import NO_SCORES, Model, load_model
from hhmnet_core.errors import InputError
from hhmnet_core.poses.contract import EstimatorConfig
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.skeleton.missing import OnMissing
from hhmnet_core.store.clips import Clip
from hhmnet_platform.cluster.loopback import LOOPBACK
from hhmnet_platform.cluster.ray_private.serve import listen_on
from hhmnet_platform.serving.devices import choose_device
from hhmnet_platform.serving.server.parameters import Parameters
from hhmnet_platform.serving.server.recordings import ReadRecording, RecordingReader
from hhmnet_platform.serving.server.refusals import RefusalError, out_of_time
from hhmnet_platform.serving.server.requests import Upload
from hhmnet_platform.serving.server.timed import Clock, OutOfTimeError

Row = NDArray[np.float64]  # (K,) probabilities of the classes
QUEUED = 512  # calls that a replica of the model works on or holds
FILES = 8  # skeleton files and videos that are read or wait for it, beside each other
FILE_THREADS = 2


@serve.deployment(max_ongoing_requests=QUEUED)
class Networks:
    """A replica of the model.

    Args:
        place: Folder of the model.
        without_video: Leave out its video networks.
        device: Device of its networks: auto, cpu or cuda.
        batch: Largest number of clips that are predicted at a time.
        batch_seconds: Time that a clip waits for others.
        max_frames: Frames of the longest clip.
    """

    def __init__(
        self,
        place: str,
        without_video: bool,
        device: str,
        batch: int,
        batch_seconds: float,
        max_frames: int,
    ) -> None:
        listen_on(LOOPBACK)
        self._model = load_model(place, choose_device(device), without_video=without_video)
        self._max_frames = max_frames
        self._thread = ThreadPoolExecutor(1)  # the model predicts one batch at a time
        gathered: Any = self._gathered
        gathered.set_max_batch_size(batch)
        gathered.set_batch_wait_timeout_s(batch_seconds)

    async def predict(
        self, array: NDArray[Any], number: int, layout: str, missing: OnMissing
    ) -> Row | RefusalError:
        """Return the probabilities of an array of joints, predicted with those of others.

        Args:
            array: Joints, (T, V, C) or (M, T, V, C).
            number: Number of the clip, for messages.
            layout: Name of their layout. "": the model's.
            missing: Treatment of missing joints.
        """
        try:
            frames = array.shape[-3]
            if frames > self._max_frames:
                raise InputError(
                    f"Clip {number} has {frames} frames, the limit of this server is "
                    f"{self._max_frames}: cut it, or start the server with a larger --max_frames."
                )
            if self._model.reads_video:
                raise InputError(
                    f"The model {self._model.description.name} reads videos beside skeletons: send "
                    "a video, or start the server with --without_video true."
                )
            source = get_layout(layout) if layout else None
            clip = self._model.check(array, number, source, missing)
        except InputError as error:
            return RefusalError.of(error)
        row: Row | RefusalError = await self._gathered(clip)
        return row

    async def predict_clips(self, clips: Sequence[Clip]) -> NDArray[np.float64] | RefusalError:
        """Return the probabilities (N, K) of clips, predicted by themselves."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, predict_files, self._model, clips)
        except InputError as error:
            return RefusalError.of(error)

    @serve.batch
    async def _gathered(self, clips: list[Clip]) -> list[Row | RefusalError]:
        work = partial(predict_each, self._model, clips)
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def predict_files(model: Model, clips: Sequence[Clip]) -> NDArray[np.float64]:
    """Return the probabilities (N, K) of clips from users' files.

    Raises InputError as `Model.predict`, and for a clip in another unit than in training.
    """
    for clip in clips:
        model.check_unit(clip)
    return model.predict(clips)


def predict_each(model: Model, clips: Sequence[Clip]) -> list[Row | RefusalError]:
    """Return the probabilities of each clip, or why there are none: one clip spoils no other."""
    return [
        row_k
        if np.isfinite(row_k).all()
        else RefusalError.of(InputError(f"Clip {clip.sample_id}: {NO_SCORES}"))
        for clip, row_k in zip(clips, model.predict_each(clips), strict=True)
    ]


@serve.deployment(max_ongoing_requests=FILES, max_queued_requests=FILES)
class Recordings:
    """The replica that reads files. Arguments are those of `RecordingReader`."""

    def __init__(
        self, model: ModelDescription, estimator: EstimatorConfig, max_bodies: int, max_frames: int
    ) -> None:
        listen_on(LOOPBACK)
        self._reader = RecordingReader(model, estimator, max_bodies, max_frames)
        self._files = ThreadPoolExecutor(FILE_THREADS)
        self._videos = ThreadPoolExecutor(1)

    async def read(
        self, upload: Upload, parameters: Parameters, seconds: float
    ) -> ReadRecording | RefusalError:
        """Read a file within some seconds. It stops where its caller cancels."""
        clock = Clock(time.monotonic() + seconds)
        threads = self._videos if upload.is_video else self._files
        work = partial(self._read, upload, parameters, clock)
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, work)
        except asyncio.CancelledError:
            clock.ends = 0.0  # for the thread, which nobody can cancel
            raise
        except OutOfTimeError:
            return out_of_time(seconds)
        except InputError as error:
            return RefusalError.of(error)
        except RefusalError as refusal:
            return refusal

    def _read(self, upload: Upload, parameters: Parameters, clock: Clock) -> ReadRecording:
        clock.check()  # it may have waited
        return self._reader.read(upload, parameters, clock)
