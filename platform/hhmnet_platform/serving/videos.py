"""Videos as recordings: the poses of the people in them."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.poses.clips import PosedClip, PoseReading, clip_of_tracks
from hhmnet_core.poses.contract import Estimator, EstimatorConfig
from hhmnet_core.poses.tracks import check_max_bodies
from hhmnet_core.poses.video import poses_of_video
from hhmnet_core.skeleton.layout_maps import find_map
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.sources.video_decoding import (
    Image,
    ImageTimes,
    NoVideoError,
    image_times,
    iterate_images,
)
from hhmnet_core.store.clips import Clip

ENDINGS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv")


@dataclass(frozen=True)
class Filmed:
    """A video and the skeletons in it.

    Attributes:
        content: The file.
        posed: Its skeletons as a clip.
        times: Times of its images.
    """

    content: bytes
    posed: PosedClip
    times: ImageTimes

    @property
    def fps(self) -> float | None:
        """Images per second, on average where the rate varies. None: unknown."""
        return self.times.count / self.times.seconds if self.times.seconds else None

    def images(self) -> Iterator[Image]:
        """Yield all images of the video."""
        return iterate_images(self.content)

    def clip_with_images(self, config: VideoConfig) -> Clip:
        """Return the clip with cropped images. Raises InputError where there are none to crop."""
        clip = self.posed.with_images(self.content, config)
        if clip.video is None:
            raise InputError(f"{clip.sample_id} has no usable images: {clip.no_video}.")
        return clip


class VideoReader:
    """Reads videos with one estimator, which is loaded at the first video.

    Args:
        estimator: Settings of the estimator.
        target: Layout of the clips.
        max_bodies: Largest number of bodies that are kept.
        reading: Conversion of poses to joints.

    Raises:
        InputError: A number is out of range.
    """

    def __init__(
        self,
        estimator: EstimatorConfig,
        target: Layout,
        max_bodies: int,
        reading: PoseReading,
    ) -> None:
        check_max_bodies(max_bodies)
        self._config, self._target = estimator, target
        self._max_bodies, self._reading = max_bodies, reading
        self._estimator: Estimator | None = None

    def read(self, content: bytes, name: str, reading: PoseReading | None = None) -> Filmed:
        """Estimate the poses of a video.

        Args:
            content: The file.
            name: Its name.
            reading: Conversion of its poses to joints. Default: that of the reader.

        Raises:
            InputError: Not a whole video, one that shows nobody, or no map from the estimator's
                layout to that of the clips.
            AccessError: The estimator cannot be loaded.
        """
        find_map(self._config.layout.name, self._target.name)
        try:
            times = image_times(content)
            tracks = poses_of_video(content, self._open(), self._max_bodies)
        except NoVideoError as error:
            raise InputError(f"{name} cannot be used: {error}.") from error
        posed = clip_of_tracks(tracks, self._target, name, reading or self._reading)
        return Filmed(content, posed, times)

    def _open(self) -> Estimator:
        if self._estimator is None:
            try:
                self._estimator = self._config.open(torch.get_num_threads())
            except InputError as error:
                # No fault of the video, nor of those that follow.
                raise AccessError(str(error)) from error
        return self._estimator
