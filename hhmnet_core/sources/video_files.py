"""The video files of a data set, found by the clips that they show."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.sources.archive import Archive, FileKind
from hhmnet_core.sources.video_crops import ImageReader, JointLocator, VideoConfig, make_video
from hhmnet_core.sources.video_decoding import Image, NoVideoError, decode_video
from hhmnet_core.sources.video_timing import Timing, even_positions
from hhmnet_core.store.clips import Clip, Int64Array


class Videos:
    """The video files of a data set. It can be pickled.

    Args:
        source: URI of a folder, a zip, or a folder of zips.
        kind: Kind of the files.
        sample_id: Function that returns the sample id of the clip that a path shows.
        config: Format of the stored videos.

    Raises:
        InputError: Nothing at `source`, no videos there, or two videos of one clip.
    """

    def __init__(
        self, source: str, kind: FileKind, sample_id: Callable[[str], str], config: VideoConfig
    ) -> None:
        self.archive, self.config = Archive(source, kind), config
        self._file_of: dict[str, str] = {}
        for name in self.archive.names:
            clip = sample_id(name)
            if clip in self._file_of:
                raise InputError(
                    f"{source} holds two videos of {clip}, {self._file_of[clip]} and {name}: "
                    "remove one of them."
                )
            self._file_of[clip] = name

    def check_matches(self, sample_ids: Sequence[str]) -> None:
        """Raise InputError unless there is a video of at least one of these clips."""
        if not self._file_of.keys() & set(sample_ids):
            raise InputError(
                f"{self.archive.uri} holds {len(self._file_of)} videos, but of none of the "
                f"{len(sample_ids)} clips, such as {sample_ids[0]}: check that it belongs to the "
                "skeletons."
            )

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the stored videos: the files, by name and size, and the format."""
        return config_fingerprint(self.config) | {"videos": self.archive.quick_fingerprint()}

    def attach(self, clip: Clip, locate: JointLocator, timing: Timing) -> Clip:
        """Return the clip with its video, or with the reason why it has none.

        Args:
            clip: The clip.
            locate: Function that returns the joints' positions in an image of a given size.
            timing: The times at which the clip's frames were recorded.
        """
        file = self._file_of.get(clip.sample_id)
        if file is None:
            return replace(clip, no_video="not found")

        def read_images(positions: Int64Array) -> list[Image]:
            return decode_frames(self.archive.read(file), positions, timing)

        try:
            return attach_video(clip, read_images, locate, self.config)
        except AccessError:
            raise
        except InputError as error:  # the file is damaged
            return replace(clip, no_video=str(error))


def decode_frames(content: bytes, positions: Int64Array, timing: Timing) -> list[Image]:
    """Decode the images of a video that show frames (F,) of the skeleton.

    Raises:
        NoVideoError: Not a whole video, or one that does not cover the skeleton's time.
    """
    return decode_video(content, lambda images: timing.images_at(positions, images))


def attach_video(
    clip: Clip, read_images: ImageReader, locate: JointLocator, config: VideoConfig
) -> Clip:
    """Return the clip with a video of `config.frames` images, or with the reason for none.

    See `make_video` for the arguments.
    """
    positions = even_positions(clip.joints.shape[1], config.frames)
    try:
        return replace(clip, video=make_video(read_images, locate, positions, config))
    except NoVideoError as error:
        return replace(clip, no_video=str(error))


def config_fingerprint(config: VideoConfig) -> dict[str, str]:
    """Return the format of a store's videos as strings for its fingerprint."""
    return {f"video.{name}": str(value) for name, value in asdict(config).items()}
