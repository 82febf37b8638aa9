"""NTU RGB+D 60 and 120 (Shahroudy et al., CVPR 2016; Liu et al., TPAMI 2019): files to clips.

Skeletons are the published `SsssCcccPpppRrrrAaaa.skeleton` files (set-up, camera, performer,
replication, action), cleaned as in the literature; videos are `SsssCcccPpppRrrrAaaa_rgb.avi`.
"""

import re
from collections.abc import Sequence

import numpy as np

from hhmnet_core.checks.memory import TEXT_EXPANSION
from hhmnet_core.errors import InputError
from hhmnet_core.sources.archive import Archive, FileKind
from hhmnet_core.sources.ntu.cleaning import clean_recording
from hhmnet_core.sources.ntu.editions import (
    EditionNumber,
    get_edition,
    parse_sample_id,
    smallest_edition,
)
from hhmnet_core.sources.ntu.skeleton_file import parse_skeleton
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.sources.video_files import Videos
from hhmnet_core.sources.video_timing import Timing
from hhmnet_core.store.clips import Clip, Float32Array

LAYOUT = "kinect_v2_25"
FRAMES_PER_SECOND = 30.0
WIDTH, HEIGHT = 1920, 1080  # pixels of the colour image

_SKELETONS = FileKind(
    re.compile(r"(?:.*/)?(S\d{3}C\d{3}P\d{3}R\d{3}A\d{3})\.skeleton"),
    "NTU skeletons",
    "S001C001P001R001A001.skeleton",
)
_VIDEOS = FileKind(
    re.compile(r"(?:.*/)?(S\d{3}C\d{3}P\d{3}R\d{3}A\d{3})(?:_rgb)?\.(?i:avi|mp4)"),
    "NTU videos",
    "S001C001P001R001A001_rgb.avi",
)


class Recordings:
    """The `.skeleton` files of a folder, a zip, or a folder of zips. It can be pickled.

    Args:
        source: URI of the files.
        number: Edition, 60 or 120. None: 120 if a file belongs to a set-up that 60 lacks, else 60.
        align: Rotation of each clip upright and to the front, by its first pose.
        videos: URI of the colour videos. Empty: the clips have no video.
        video: Format of the stored videos.

    Attributes:
        edition: Facts of the edition.
        names: Sorted names of the files that become clips: those of the edition that are not
            listed as missing.

    Raises:
        InputError: Nothing at a URI, a damaged zip, no matching files, none of the edition, or two
            files of one clip.
    """

    def __init__(
        self,
        source: str,
        number: EditionNumber | None = None,
        align: bool = False,
        videos: str = "",
        video: VideoConfig | None = None,
    ) -> None:
        self.archive = Archive(source, _SKELETONS)
        file_of = self._files_by_clip()
        self.number = number or smallest_edition(file_of)
        self.align, self.edition = align, get_edition(self.number)
        self._foreign = file_of.keys() - self.edition.recorded
        usable = sorted(file_of.keys() & (self.edition.recorded - self.edition.missing))
        if not usable:
            raise InputError(
                f"{source} holds {len(file_of)} .skeleton files, but none that NTU RGB+D "
                f"{self.number} trains or tests on: check --edition and the source."
            )
        self.names: Sequence[str] = [file_of[sample_id] for sample_id in usable]
        self.videos: Videos | None = None
        if videos:
            self.videos = Videos(videos, _VIDEOS, _sample_id_of_video, video or VideoConfig())
            self.videos.check_matches(usable)

    def _files_by_clip(self) -> dict[str, str]:
        file_of: dict[str, str] = {}
        for name in self.archive.names:
            sample_id = self.sample_id(name)
            if sample_id in file_of:
                raise InputError(
                    f"{self.archive.uri} holds {sample_id} twice, as {file_of[sample_id]} and as "
                    f"{name}: remove one of them."
                )
            file_of[sample_id] = name
        return file_of

    @staticmethod
    def sample_id(name: str) -> str:
        """Return the sample id of a skeleton file."""
        return _SKELETONS.groups(name)[0]

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the source: the files' names and sizes, in a zip checksums too."""
        return {
            "reader": "ntu/1",
            "edition": str(self.number),
            "align": str(self.align).lower(),
            "files": self.archive.quick_fingerprint(),
            **(self.videos.fingerprint() if self.videos else {}),
        }

    def absent(self) -> dict[str, str]:
        """Return the clips of the edition, or of these files, that are not read, and why."""
        read = {self.sample_id(name) for name in self.names}
        missing = self.edition.missing
        foreign = dict.fromkeys(sorted(self._foreign), f"not of NTU RGB+D {self.number}")
        return foreign | {
            sample_id: "published as missing" if sample_id in missing else "not found"
            for sample_id in sorted(self.edition.recorded - read)
        }

    def clip(self, name: str) -> Clip:
        """Read and clean the clip of a file.

        Raises:
            InputError: The file is unreadable, malformed, or shows nobody; the message names it.
        """
        where = f"{name} in {self.archive.uri}"
        recording = parse_skeleton(self.archive.read(name, TEXT_EXPANSION), where)
        cleaned = clean_recording(recording, where, self.align)
        sample_id = self.sample_id(name)
        sample = parse_sample_id(sample_id)
        clip = Clip(
            sample_id=sample_id,
            label=sample.action - 1,
            subject=sample.subject,
            camera=sample.camera,
            setup=sample.setup,
            joints=cleaned.joints,
            pixels=cleaned.pixels,
            dropped=cleaned.dropped,
        )
        if self.videos is None:
            return clip

        def locate(width: int, height: int) -> Float32Array:
            return cleaned.pixels * np.array([width / WIDTH, height / HEIGHT], dtype=np.float32)

        timing = Timing(cleaned.frames, recording.num_frames, FRAMES_PER_SECOND)
        return self.videos.attach(clip, locate, timing)


def _sample_id_of_video(path: str) -> str:
    return _VIDEOS.groups(path)[0]
