"""The video files that belong to a data set's recordings."""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from hhmnet_core.errors import InputError
from hhmnet_core.sources.archive import Archive
from hhmnet_core.sources.video_crops import (
    Image,
    NoVideoError,
    Timing,
    VideoConfig,
    decode_video,
    even_positions,
    make_video,
)
from hhmnet_core.store.clips import Clip, Float32Array, Int64Array


class Videos:
    """Video files, found by the clips that they show. Travels to processes.

    Args:
        source: URI of a folder, a zip, or a folder of zips.
        pattern: What the whole path of a video matches.
        expected: What belongs at `source`, for messages; `example` is the name of such a file.
        sample_id: The clip that a path shows.
        config: What is kept of a video.

    Raises:
        InputError: No such place, no such files in it, or two of one clip.
    """

    def __init__(
        self,
        source: str,
        pattern: re.Pattern[str],
        expected: str,
        example: str,
        sample_id: Callable[[str], str],
        config: VideoConfig,
    ) -> None:
        self.archive, self.config = Archive(source, pattern, expected, example), config
        self._file_of: dict[str, str] = {}
        for name in self.archive.names:
            clip = sample_id(name)
            if clip in self._file_of:
                raise InputError(
                    f"{source} holds two videos of {clip}, {self._file_of[clip]} and {name}: "
                    "remove one of them."
                )
            self._file_of[clip] = name

    def check(self, sample_ids: Sequence[str]) -> None:
        """Raises InputError where there is no video of any of these clips."""
        if not self._file_of.keys() & set(sample_ids):
            raise InputError(
                f"{self.archive.uri} holds {len(self._file_of)} videos, but of none of the "
                f"{len(sample_ids)} clips, such as {sample_ids[0]}: check that it belongs to the "
                "skeletons."
            )

    def fingerprint(self) -> dict[str, str]:
        """What a store's videos are made from, and how."""
        return fingerprint(self.config) | {"videos": self.archive.quick_fingerprint()}

    def attach(
        self, clip: Clip, pixels_of: Callable[[int, int], Float32Array], timing: Timing
    ) -> Clip:
        """The clip with its video, or with the reason why it has none; `make_video` explains."""
        file = self._file_of.get(clip.sample_id)
        if file is None:
            return replace(clip, no_video="not found")

        def images(positions: Int64Array) -> list[Image]:
            return decode_video(
                self.archive.read(file),
                lambda images, rate: timing.images_at(positions, images, rate),
            )

        try:
            return with_video(clip, images, pixels_of, self.config)
        except InputError as error:  # the file cannot be read
            return replace(clip, no_video=str(error))


def with_video(
    clip: Clip,
    images: Callable[[Int64Array], Sequence[Image]],
    pixels_of: Callable[[int, int], Float32Array],
    config: VideoConfig,
) -> Clip:
    """The clip with a video of `config.frames` images, or with the reason why it has none."""
    positions = even_positions(clip.joints.shape[1], config.frames)
    try:
        return replace(clip, video=make_video(images, pixels_of, positions, config))
    except NoVideoError as error:
        return replace(clip, no_video=str(error))


def fingerprint(config: VideoConfig) -> dict[str, str]:
    """How a store's videos are made."""
    return {f"video.{name}": str(value) for name, value in asdict(config).items()}
