"""Northwestern-UCLA Multiview Action 3D (Wang et al., CVPR 2014): skeletons and colour videos.

Reads the `all_sqe` files in common use: one JSON a clip, `aAA_sSS_eEE_vVV.json` (action, subject,
episode, view), `{"file_name": ..., "skeletons": [T][20][3] in metres, "label": 1..10}`. Videos
(`multiview_action_videos`) are found by the same numbers, in any order: `a01/v01_s01_e00.avi`.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.sources.archive import Archive
from hhmnet_core.sources.video_crops import Timing, VideoConfig, project
from hhmnet_core.sources.video_files import Videos
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
    # To develop on: what is chosen with these has never seen view 3.
    "1-2": Protocol(train={"camera": [1]}, test={"camera": [2]}),
    "2-1": Protocol(train={"camera": [2]}, test={"camera": [1]}),
}

_NAME = re.compile(r"(?:.*/)?a(\d+)_s(\d+)_e(\d+)_v(\d+)\.json")
_VIDEO = re.compile(r"(?=.*a\d)(?=.*s\d)(?=.*e\d)(?=.*v\d).*\.(?i:avi|mp4)")
_NUMBER = re.compile(r"(?<![a-z])([asev])(\d+)(?=[_/.])")
WIDTH = 640
FOCAL = 525.0  # of the Kinect v1's colour camera, in pixels of its 640
_LABEL_OF_ACTION = {action: label for label, action in enumerate(ACTIONS)}


class Recordings:
    """The recordings in a folder or a zip; use it in a `with` block.

    Args:
        source: URI of the zip, or of the folder that holds the JSON files (at any depth).
        videos: URI of the videos; "": none are kept.
        video: What is kept of them.
        focal: The colour camera's focal length, in pixels of an image 640 wide.

    Raises:
        InputError: No such place, not a whole zip, or none of the files in it.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        videos: str = "",
        video: VideoConfig | None = None,
        focal: float = FOCAL,
    ) -> None:
        self._archive = Archive(
            os.fspath(source), _NAME, "NW-UCLA recordings", "a01_s01_e00_v01.json"
        )
        self.names = self._archive.names
        self._focal, self._videos = focal, None
        if focal <= 0:
            raise InputError(f"focal must be above 0 pixels, but is {focal}.")
        if videos:
            self._videos = Videos(
                videos,
                _VIDEO,
                "NW-UCLA videos",
                "a01/v01_s01_e00.avi",
                _shown_in,
                video or VideoConfig(),
            )
            self._videos.check([Path(name).stem for name in self.names])

    def __enter__(self) -> "Recordings":
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def __len__(self) -> int:
        return len(self.names)

    def fingerprint(self) -> dict[str, str]:
        """What the store is made from: the files' names and contents, not where they lie.

        A folder and a zip of the same files differ; so do two zips packed differently.
        """
        kind = "zip" if self._archive.is_zip else "folder"
        made = {"reader": "nw_ucla/1", "kind": kind, "sha256": self._archive.fingerprint()}
        if self._videos is None:
            return made
        return made | self._videos.fingerprint() | {"focal": str(self._focal)}

    def clips(self) -> Iterator[Clip]:
        """The clips in order of their names; raises as `clip` does."""
        return map(self.clip, self.names)

    def clip(self, name: str) -> Clip:
        """The clip of a file.

        Raises:
            InputError: A file that cannot be read or does not hold what it should; it is named.
        """
        found = _NAME.fullmatch(name)
        assert found
        action, subject, _, view = (int(number) for number in found.groups())
        what = f"{name} in {self._archive.uri}"
        clip = Clip(
            sample_id=Path(name).stem,
            label=_LABEL_OF_ACTION.get(action, -1),
            subject=subject,
            camera=view,
            setup=0,
            joints=self._joints(name, what, action)[None],
        )
        try:
            check_clip(clip, get_layout(LAYOUT), len(CLASS_NAMES))
        except InputError as error:
            raise InputError(f"{what}: {error}") from error
        if self._videos is None:
            return clip

        def pixels_of(width: int, height: int) -> Float32Array:
            return project(clip.joints, self._focal * width / WIDTH, width, height)

        return self._videos.attach(clip, pixels_of, Timing.whole(clip.joints.shape[1]))

    def _joints(self, name: str, what: str, action: int) -> Float32Array:
        if action not in ACTIONS:
            raise InputError(
                f"{what} names action {action}; NW-UCLA has {', '.join(map(str, ACTIONS))}."
            )
        try:
            content = json.loads(self._archive.read(name))
        except ValueError as error:
            raise InputError(
                f"{what} is not JSON ({error}): it is cut off or damaged; get the file again."
            ) from error
        if not isinstance(content, dict) or not {"skeletons", "label"} <= content.keys():
            raise InputError(f'{what} lacks a key: expected "skeletons" and "label".')
        if content["label"] != _LABEL_OF_ACTION[action] + 1:
            raise InputError(
                f"{what} has label {content['label']!r}; the action in its name means "
                f"{_LABEL_OF_ACTION[action] + 1}."
            )
        try:
            joints_tvc = np.array(content["skeletons"], dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{what} has skeletons that are not numbers, or frames of unequal size; expected "
                "[frames][20][3]."
            ) from error
        if joints_tvc.ndim != 3 or joints_tvc.shape[1:] != (20, 3) or not len(joints_tvc):
            raise InputError(
                f"{what} has skeletons of shape {joints_tvc.shape}; expected (frames, 20, 3)."
            )
        return joints_tvc


def _shown_in(path: str) -> str:
    """The clip of a video, by the last action, subject, episode and view in its path."""
    number = {kind: int(digits) for kind, digits in _NUMBER.findall(path)}
    return "_".join(f"{kind}{number.get(kind, 0):02}" for kind in "asev")
