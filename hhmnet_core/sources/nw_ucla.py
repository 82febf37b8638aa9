"""Northwestern-UCLA Multiview Action 3D (Wang et al., CVPR 2014): skeletons and colour videos.

Skeletons are the `all_sqe` files in common use: one JSON per clip, `aAA_sSS_eEE_vVV.json` (action,
subject, episode, view), `{"file_name": ..., "skeletons": [T][20][3] in metres, "label": 1..10}`.
Videos (`multiview_action_videos`) are matched by the same numbers, in any order, such as
`a01/v01_s01_e00.avi`.
"""

import os
import re
from pathlib import Path

import numpy as np

from hhmnet_core.checks.memory import TEXT_EXPANSION
from hhmnet_core.checks.parsing import parse_json
from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.sources.archive import Archive, FileKind
from hhmnet_core.sources.video_crops import Camera, VideoConfig
from hhmnet_core.sources.video_files import Videos
from hhmnet_core.sources.video_timing import Timing
from hhmnet_core.store.clips import Clip, Float32Array, check_clip
from hhmnet_core.store.manifest import Protocol

DATASET = "nw_ucla"
LAYOUT = "kinect_v1_20"
PUBLISHED_CLIPS = 1484
ACTIONS = {
    1: "pick up with one hand",
    2: "pick up with two hands",
    3: "drop trash",
    4: "walk around",
    5: "sit down",
    6: "stand up",
    8: "donning",
    9: "doffing",
    11: "throw",
    12: "carry",
}
CLASS_NAMES = tuple(ACTIONS.values())
PROTOCOLS = {
    "12-3": Protocol(train={"camera": [1, 2]}, test={"camera": [3]}),
    "13-2": Protocol(train={"camera": [1, 3]}, test={"camera": [2]}),
    "23-1": Protocol(train={"camera": [2, 3]}, test={"camera": [1]}),
    # For development: a choice made on these has never seen view 3.
    "1-2": Protocol(train={"camera": [1]}, test={"camera": [2]}),
    "2-1": Protocol(train={"camera": [2]}, test={"camera": [1]}),
}
WIDTH = 640
FOCAL = 525.0  # of the Kinect v1's colour camera, in pixels of an image WIDTH wide

_SKELETONS = FileKind(
    re.compile(r"(?:.*/)?a(\d{1,18})_s(\d{1,18})_e(\d{1,18})_v(\d{1,18})\.json"),
    "NW-UCLA recordings",
    "a01_s01_e00_v01.json",
)
_VIDEOS = FileKind(
    re.compile(r"(?=.*a\d)(?=.*s\d)(?=.*e\d)(?=.*v\d).*\.(?i:avi|mp4)"),
    "NW-UCLA videos",
    "a01/v01_s01_e00.avi",
)
_NUMBER = re.compile(r"(?<![a-z])([asev])(\d{1,18})(?=[_/.])")
_LABEL_OF_ACTION = {action: label for label, action in enumerate(ACTIONS)}


class Recordings:
    """The recordings in a folder or a zip; use it in a `with` block.

    Args:
        source: URI of the zip, or of the folder that holds the JSON files at any depth.
        videos: URI of the videos. Empty: the clips have no video.
        video: Format of the stored videos.
        focal: Focal length of the colour camera, in pixels of an image 640 wide.

    Attributes:
        names: Sorted names of the skeleton files.

    Raises:
        InputError: Nothing at a URI, a damaged zip, no matching files, or a focal length that is
            not above 0.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        videos: str = "",
        video: VideoConfig | None = None,
        focal: float = FOCAL,
    ) -> None:
        self._archive = Archive(os.fspath(source), _SKELETONS)
        self.names = self._archive.names
        self._camera = Camera(focal, WIDTH)
        self._videos: Videos | None = None
        if videos:
            self._videos = Videos(videos, _VIDEOS, _sample_id_of_video, video or VideoConfig())
            self._videos.check_matches([Path(name).stem for name in self.names])

    def __enter__(self) -> "Recordings":
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the source: the files' names and contents, not their location.

        A folder and a zip of the same files differ; so do two zips that are packed differently.
        """
        kind = "zip" if self._archive.is_zip else "folder"
        skeletons = {"reader": "nw_ucla/1", "kind": kind, "sha256": self._archive.fingerprint()}
        if self._videos is None:
            return skeletons
        return skeletons | self._videos.fingerprint() | {"focal": str(self._camera.focal)}

    def clip(self, name: str) -> Clip:
        """Read the clip of a file.

        Raises:
            InputError: The file is unreadable or malformed; the message names it.
        """
        action, subject, _, view = map(int, _SKELETONS.groups(name))
        where = f"{name} in {self._archive.uri}"
        if action not in ACTIONS:
            raise InputError(
                f"{where} names action {action}; NW-UCLA has {', '.join(map(str, ACTIONS))}."
            )
        label = _LABEL_OF_ACTION[action]
        clip = Clip(
            sample_id=Path(name).stem,
            label=label,
            subject=subject,
            camera=view,
            setup=0,
            joints=_parse_joints(self._archive.read(name, TEXT_EXPANSION), label, where)[None],
        )
        try:
            check_clip(clip, get_layout(LAYOUT), len(CLASS_NAMES))
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        if self._videos is None:
            return clip
        timing = Timing.whole(clip.joints.shape[1])
        return self._videos.attach(clip, self._camera.locator(clip.joints), timing)


def _parse_joints(content: bytes, label: int, where: str) -> Float32Array:
    """Return the joints (T, 20, 3) of a JSON file, in metres, after checking its label."""
    try:
        fields = parse_json(content)
    except ValueError as error:
        raise InputError(
            f"{where} is not JSON ({error}): it is cut off or damaged; get the file again."
        ) from error
    if not isinstance(fields, dict) or not {"skeletons", "label"} <= fields.keys():
        raise InputError(f'{where} lacks a key: expected "skeletons" and "label".')
    if fields["label"] != label + 1:
        raise InputError(
            f"{where} has label {fields['label']!r}; the action in its name means {label + 1}."
        )
    try:
        joints_tvc = np.array(fields["skeletons"], dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{where} has skeletons that are not numbers, or frames of unequal size; expected "
            "[frames][20][3]."
        ) from error
    if joints_tvc.ndim != 3 or joints_tvc.shape[1:] != (20, 3) or not len(joints_tvc):
        raise InputError(
            f"{where} has skeletons of shape {joints_tvc.shape}; expected (frames, 20, 3)."
        )
    return joints_tvc


def _sample_id_of_video(path: str) -> str:
    """Return the sample id given by the last action, subject, episode and view in a path."""
    numbers = {kind: int(digits) for kind, digits in _NUMBER.findall(path)}
    return "_".join(f"{kind}{numbers.get(kind, 0):02}" for kind in "asev")
