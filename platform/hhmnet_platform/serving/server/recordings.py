"""Reading uploaded files: skeletons and videos as clips of the model, and what a page draws.

Axes: M bodies, T frames, V joints.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.deploy.description import ModelDescription
from hhmnet_core.deploy.timeline import Window, cut_clip
from hhmnet_core.errors import InputError
from hhmnet_core.poses.clips import PoseReading
from hhmnet_core.poses.contract import EstimatorConfig
from hhmnet_core.rendering.canvas import HEIGHT, WIDTH, place_on_canvas
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.sources.own.poses import Reading
from hhmnet_core.sources.video_decoding import ImageTimes, NoVideoError, image_times
from hhmnet_core.store.clips import Clip
from hhmnet_platform.serving.inputs import Recorded, RecordingFiles
from hhmnet_platform.serving.recognition import (
    choose_windows,
    clip_for_model,
    empty_stretches,
)
from hhmnet_platform.serving.server.parameters import Parameters
from hhmnet_platform.serving.server.requests import Upload, check_expansion
from hhmnet_platform.serving.server.timed import Clock, TimedConfig
from hhmnet_platform.serving.videos import VideoReader

MAX_WINDOWS, MAX_WINDOW_FRAMES = 1000, 200_000  # of a recording, the frames of all windows
MAX_PIXELS = 7680 * 4320  # of an image of a video


@dataclass(frozen=True)
class Drawing:
    """The joints of a recording, for drawing.

    Attributes:
        pixels: (M, T, V, 2) positions of the joints in the image, NaN for unknown ones.
        seconds: (T,) time of each frame from the start of the recording. None: unknown.
        width: Width of the image, in pixels.
        height: Height of the image, in pixels.
    """

    pixels: NDArray[np.float32]
    seconds: NDArray[np.float64] | None
    width: int
    height: int


@dataclass(frozen=True)
class ReadRecording:
    """A recording as it is predicted.

    Attributes:
        name: Name of the file.
        clips: Clips of its windows, as the model reads them.
        windows: The windows, by their frames.
        frames: Number of its frames.
        fps: Frames per second. None: unknown.
        first: Frame of the file that is the first one of the clips; those before show nobody.
        drawing: Its joints. None: not asked for.
        empty: Stretches of its frames in which nobody is in view.
    """

    name: str
    clips: tuple[Clip, ...]
    windows: tuple[Window, ...]
    frames: int
    fps: float | None
    first: int
    drawing: Drawing | None
    empty: tuple[Window, ...] = ()


class RecordingReader:
    """Reads uploaded files. One video at a time: their estimator is shared.

    Args:
        model: The model, without its video networks where they are left out.
        estimator: Settings of the pose estimator.
        max_bodies: Largest number of people in a video.
        max_frames: Frames of the longest recording.
    """

    def __init__(
        self, model: ModelDescription, estimator: EstimatorConfig, max_bodies: int, max_frames: int
    ) -> None:
        self._model, self._layout = model, model.skeleton
        self._timed = TimedConfig(estimator)
        self._videos = VideoReader(self._timed, self._layout, max_bodies, PoseReading())
        self._max_bodies, self._max_frames = max_bodies, max_frames

    def read(self, upload: Upload, parameters: Parameters, clock: Clock) -> ReadRecording:
        """Read a file.

        Args:
            upload: The file.
            parameters: Interpretation of the file, and its windows.
            clock: Time that it may take.

        Raises:
            InputError: It cannot be read, shows nobody, is too long or does not fit the model.
            RefusalError: Its arrays are too large.
            OutOfTimeError: The time is over.
        """
        if parameters.window and self._model.visual is not None:
            raise InputError(
                f"The video network of {self._model.name} reads whole clips, no windows: leave "
                "window out, or start the server with --without_video true."
            )
        if upload.is_video:
            recorded = self._read_video(upload, parameters, clock)
        else:
            recorded = self._read_skeleton(upload, parameters)
        frames = recorded.clip.joints.shape[1]
        self._check_frames(frames, upload.name)
        windows = choose_windows(parameters.window, parameters.stride, frames, recorded.fps)
        _check_windows(windows, upload.name)
        clock.check()
        clip = clip_for_model(recorded, self._model)
        drawing = self._drawing(recorded) if parameters.skeleton else None
        clips = tuple(replace(cut_clip(clip, window), pixels=None) for window in windows)
        return ReadRecording(
            upload.name,
            clips,
            tuple(windows),
            frames,
            recorded.fps,
            recorded.first,
            drawing,
            empty_stretches(recorded.clip, recorded.fps),
        )

    def _read_video(self, upload: Upload, parameters: Parameters, clock: Clock) -> Recorded:
        times = _check_video(upload)
        self._check_frames(times.count, upload.name)
        clock.check()
        self._timed.clock = clock
        reading = PoseReading(parameters.missing or "interpolate")
        filmed = self._videos.read(upload.content, upload.name, reading)
        return Recorded(filmed.posed.clip, filmed.fps, filmed, filmed.posed.first)

    def _read_skeleton(self, upload: Upload, parameters: Parameters) -> Recorded:
        check_expansion(upload)
        with TemporaryDirectory(prefix="hhm-upload-") as folder:
            path = Path(folder, upload.name)
            path.write_bytes(upload.content)
            try:
                files = RecordingFiles(
                    str(path),
                    self._layout,
                    get_layout(parameters.layout) if parameters.layout else self._layout,
                    Reading(parameters.axes, parameters.missing or "refuse"),
                    self._videos,
                    parameters.fps,
                    self._model.source.get("align") == "true",
                )
                files.check()
                return files.read(upload.name)
            except InputError as error:  # the folder is no business of the client
                text = str(error).replace(f" in {folder}", "").replace(f"{folder}/", "")
                raise type(error)(text) from error

    def _check_frames(self, frames: int, name: str) -> None:
        if frames > self._max_frames:
            raise InputError(
                f"{name} has {frames} frames, the limit of this server is {self._max_frames}: cut "
                "it, or start the server with a larger --max_frames."
            )

    def _drawing(self, recorded: Recorded) -> Drawing:
        frames = recorded.clip.joints.shape[1]
        if recorded.filmed is None:
            pixels = place_on_canvas(recorded.clip.joints, self._layout)
            shown = recorded.first + np.arange(frames)
            seconds = shown / recorded.fps if recorded.fps else None
            return Drawing(pixels, seconds, WIDTH, HEIGHT)
        filmed = recorded.filmed
        height, width = next(filmed.images()).shape[:2]
        starts = _starts(filmed.times)
        first = filmed.posed.first
        seconds = None if starts is None else starts[first : first + frames]
        return Drawing(filmed.posed.pixels, seconds, width, height)


def _check_windows(windows: Sequence[Window], name: str) -> None:
    frames = sum(stop - start for start, stop in windows)
    if len(windows) > MAX_WINDOWS or frames > MAX_WINDOW_FRAMES:
        raise InputError(
            f"{name} has {len(windows)} windows of {frames} frames together, the limits are "
            f"{MAX_WINDOWS} and {MAX_WINDOW_FRAMES}: give a larger --stride."
        )


def _starts(times: ImageTimes) -> NDArray[np.float64] | None:
    """Return the time of each image, (N,). None: unknown."""
    if times.starts is not None:
        return times.starts
    return np.arange(times.count) / times.rate if times.rate else None


def _check_video(upload: Upload) -> ImageTimes:
    """Return the times of a video's images. Raises InputError for no video, or a huge image."""
    import av

    try:
        times = image_times(upload.content)
    except NoVideoError as error:
        raise InputError(f"{upload.name} cannot be used: {error}.") from error
    with av.open(io.BytesIO(upload.content), "r") as file:
        width, height = file.streams.video[0].width, file.streams.video[0].height
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{upload.name} has images of {width} x {height} pixels, the limit is {MAX_PIXELS:,} "
            "pixels: make them smaller."
        )
    return times
