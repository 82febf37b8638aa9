"""Predictions by the deployments, within the time of a request."""

import asyncio
import time
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hhmnet_platform.serving.server.parameters import Parameters
from hhmnet_platform.serving.server.recordings import ReadRecording
from hhmnet_platform.serving.server.refusals import UNAVAILABLE, RefusalError, busy, out_of_time
from hhmnet_platform.serving.server.requests import JsonClips, Upload


class Predictor(Protocol):
    """What the application asks for predictions. Its methods raise RefusalError."""

    async def clips(self, clips: JsonClips, parameters: Parameters) -> list[NDArray[np.float64]]:
        """Return the probabilities (K,) of each clip."""

    async def recording(
        self, upload: Upload, parameters: Parameters
    ) -> tuple[ReadRecording, NDArray[np.float64]]:
        """Return the recording of a file, and the probabilities (N, K) of its windows."""


class ServedPredictor:
    """Predictions by the deployments in Ray Serve.

    Args:
        networks: Handle of the model's replicas.
        recordings: Handle of the replica that reads files.
        batch: Clips of a recording that are predicted at a time; others are served in between.
        seconds: Longest time of a request.
    """

    def __init__(self, networks: Any, recordings: Any, batch: int, seconds: float) -> None:
        self._networks, self._recordings = networks, recordings
        self._batch, self._seconds = batch, seconds

    async def clips(self, clips: JsonClips, parameters: Parameters) -> list[NDArray[np.float64]]:
        missing = parameters.missing or "refuse"
        calls = [
            self._networks.predict.remote(array, number, clips.layout, missing)
            for number, array in enumerate(clips.arrays)
        ]
        ends = time.monotonic() + self._seconds
        try:
            return [await self._result(call, ends) for call in calls]
        except BaseException:  # a clip that is refused, or a client that has left
            for call in calls:
                call.cancel()
            raise

    async def recording(
        self, upload: Upload, parameters: Parameters
    ) -> tuple[ReadRecording, NDArray[np.float64]]:
        ends = time.monotonic() + self._seconds
        call = self._recordings.read.remote(upload, parameters, self._seconds)
        found: ReadRecording = await self._result(call, ends)
        rows = []
        for at in range(0, len(found.clips), self._batch):
            call = self._networks.predict_clips.remote(found.clips[at : at + self._batch])
            rows.append(await self._result(call, ends))
        return found, np.concatenate(rows)

    async def _result(self, call: Any, ends: float) -> Any:
        """Return the result of a call. Raises RefusalError where there is none in time."""
        from ray.exceptions import RayActorError
        from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

        try:
            async with asyncio.timeout(max(0.0, ends - time.monotonic())):
                result = await call
        except TimeoutError as error:
            call.cancel()
            raise out_of_time(self._seconds) from error
        except asyncio.CancelledError:
            call.cancel()
            raise
        except BackPressureError as error:
            raise busy("other recordings are being read") from error
        except (RayActorError, DeploymentUnavailableError) as error:
            raise RefusalError(
                UNAVAILABLE,
                "The process that worked on this request has ended, and is started again: try "
                "again in some seconds, and if it happens with this recording alone, leave it out.",
            ) from error
        if isinstance(result, RefusalError):
            raise result
        return result
