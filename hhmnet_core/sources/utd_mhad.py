"""UTD-MHAD (Chen et al., ICIP 2015): what its Kinect v1 saw, skeletons, depth and colour.

Reads `aA_sS_tT_skeleton.mat` (action, subject, trial): `d_skel`, 20 joints x 3 coordinates x T
frames, in metres; and, where wanted, `aA_sS_tT_depth.mat`: `d_depth`, 240 x 320 x T, millimetres,
zero where nothing is seen; or `aA_sS_tT_color.avi`.
"""

import io
import os
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.sources.archive import Archive
from hhmnet_core.sources.video_crops import Image, NoVideoError, Timing, VideoConfig, project
from hhmnet_core.sources.video_files import Videos, fingerprint, with_video
from hhmnet_core.store.clips import Clip, Float32Array, Int64Array
from hhmnet_core.store.manifest import Protocol

DATASET = "utd_mhad"
LAYOUT = "kinect_v1_20_utd"
PUBLISHED_CLIPS = 861
CLASS_NAMES = (
    "swipe left", "swipe right", "wave", "clap", "throw", "arm cross", "basketball shoot",
    "draw x", "draw circle clockwise", "draw circle counter-clockwise", "draw triangle", "bowling",
    "boxing", "baseball swing", "tennis swing", "arm curl", "tennis serve", "push", "knock",
    "catch", "pick up and throw", "jog", "walk", "sit to stand", "stand to sit", "lunge", "squat",
)  # fmt: skip
PROTOCOLS = {
    "cross-subject": Protocol(train={"subject": [1, 3, 5, 7]}, test={"subject": [2, 4, 6, 8]})
}

_NAME = re.compile(r"(?:.*/)?(a(\d+)_s(\d+)_t(\d+))_skeleton\.mat")
_DEPTH = re.compile(r"(?:.*/)?a\d+_s\d+_t\d+_depth\.mat")
_COLOUR = re.compile(r"(?:.*/)?a\d+_s\d+_t\d+_color\.(?i:avi)")
WIDTH = 320
# In pixels of an image 320 wide; the depth camera's fits the skeletons, the colour camera's is the
# Kinect v1's nominal one.
FOCAL = {"depth": 265.0, "rgb": 262.5}
# Frames by which depth trails the skeletons: of the joints that move, 90 % lie on the body with
# two, 76 % with none (80 clips).
DEPTH_LAG = 2
# Depth is kept around the body: what an arm reaches before it, and a little behind it, millimetres.
BEFORE, BEHIND = 600.0, 900.0
Stream = Literal["none", "depth", "rgb"]


class Recordings:
    """The skeleton files of a folder, a zip, or the zips of a folder. Travels to processes.

    Args:
        source: Their URI.
        stream: What is seen of a clip: "depth" or "rgb", from files beside the skeletons.
        video: What is kept of it.
        focal: The camera's focal length, in pixels of an image 320 wide; None: `FOCAL`.

    Attributes:
        names: The files, sorted by action, subject and trial.

    Raises:
        InputError: No such place, a damaged zip, or no such files.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        stream: Stream = "none",
        video: VideoConfig | None = None,
        focal: float | None = None,
    ) -> None:
        self.archive = Archive(
            os.fspath(source), _NAME, "UTD-MHAD skeletons", "a1_s1_t1_skeleton.mat"
        )
        self.names = sorted(self.archive.names, key=self._numbers)
        self.stream, self.video = stream, video or VideoConfig()
        self.focal = FOCAL.get(stream, 1.0) if focal is None else focal
        if self.focal <= 0:
            raise InputError(f"focal must be above 0 pixels, but is {self.focal}.")
        self._depth: Archive | None = None
        self._colour: Videos | None = None
        where = os.fspath(source)
        if stream == "depth":
            self._depth = Archive(where, _DEPTH, "UTD-MHAD depth", "a1_s1_t1_depth.mat")
            self._depth_of = {_sample_id(name): name for name in self._depth.names}
        elif stream == "rgb":
            what = ("UTD-MHAD videos", "a1_s1_t1_color.avi")
            self._colour = Videos(where, _COLOUR, *what, _sample_id, self.video)

    def fingerprint(self) -> dict[str, str]:
        """What the store is made from: the files' names and contents, not where they lie."""
        kind = "zip" if self.archive.is_zip else "folder"
        made = {"reader": "utd_mhad/1", "kind": kind, "sha256": self.archive.fingerprint()}
        seen = self._colour.archive if self._colour else self._depth
        if seen is None:
            return made
        how = {"stream": self.stream, "focal": str(self.focal), **fingerprint(self.video)}
        if self.stream == "depth":
            how["grey"] = f"-{BEFORE:.0f} to {BEHIND:.0f} mm of the body"
        return made | how | {"videos": seen.quick_fingerprint()}

    def clip(self, name: str) -> Clip:
        """The clip of a file.

        Raises:
            InputError: A file that cannot be read or does not hold what it should; it is named.
        """
        where = f"{name} in {self.archive.uri}"
        action, subject, _ = self._numbers(name)
        if not 1 <= action <= len(CLASS_NAMES):
            raise InputError(f"{where} names action {action}; UTD-MHAD has 1 to 27.")
        clip = Clip(
            sample_id=_sample_id(name),
            label=action - 1,
            subject=subject,
            camera=1,
            setup=0,
            joints=_joints(self.archive.read(name), where)[None],
        )

        def pixels_of(width: int, height: int) -> Float32Array:
            return project(clip.joints, self.focal * width / WIDTH, width, height)

        if self._colour:
            return self._colour.attach(clip, pixels_of, Timing.whole(clip.joints.shape[1]))
        if self._depth:

            def images(positions: Int64Array) -> list[Image]:
                return self._depth_images(clip, positions)

            return with_video(clip, images, pixels_of, self.video)
        return clip

    def _depth_images(self, clip: Clip, positions: Int64Array) -> list[Image]:
        assert self._depth
        if clip.sample_id not in self._depth_of:
            raise NoVideoError("not found")
        name = self._depth_of[clip.sample_id]
        try:
            depth = _matrix(self._depth.read(name), "d_depth", f"{name} in {self._depth.uri}")
        except InputError as error:
            raise NoVideoError(str(error)) from error
        frames = clip.joints.shape[1]
        if depth.ndim != 3 or depth.dtype.kind != "u" or depth.shape[2] != frames:
            raise NoVideoError(
                f"d_depth of shape {depth.shape} and type {depth.dtype}, expected unsigned numbers "
                f"of (rows, columns, {frames}) as its skeleton"
            )
        body = 1000 * float(np.median(clip.joints[..., 2]))
        return [grey(depth[:, :, min(at + DEPTH_LAG, frames - 1)], body) for at in positions]

    @staticmethod
    def _numbers(name: str) -> tuple[int, int, int]:
        found = _NAME.fullmatch(name)
        assert found
        return int(found[2]), int(found[3]), int(found[4])


def grey(depth: NDArray[np.unsignedinteger[Any]], body: float) -> Image:
    """Depth as grey: 255 at 0.6 m before the body and nearer, 1 at 0.9 m behind it and farther.

    0 where nothing is seen. In a clip the same depth is always the same grey, 5.9 mm a level.

    Args:
        depth: (H, W) millimetres from the camera.
        body: How far away the body stands, millimetres.
    """
    share = (body + BEHIND - depth.astype(np.float32)) / (BEFORE + BEHIND)
    levels = np.rint(1 + 254 * np.clip(share, 0, 1))
    return np.where(depth > 0, levels, 0).astype(np.uint8)


def _sample_id(name: str) -> str:
    return Path(name).stem.rpartition("_")[0]


def _matrix(content: bytes, variable: str, where: str) -> NDArray[Any]:
    """A variable of a file. Raises InputError where there is none to read."""
    from scipy.io import loadmat

    try:
        values = loadmat(io.BytesIO(content), variable_names=[variable]).get(variable)
    except Exception as error:  # what scipy raises for bytes that are no such file has no base
        raise InputError(
            f"{where} is no MATLAB file of version 5 ({error}): it is cut off or damaged; get it "
            "again."
        ) from error
    if values is None:
        raise InputError(f"{where} has no {variable}.")
    matrix: NDArray[Any] = np.asarray(values)
    return matrix


def _joints(content: bytes, where: str) -> Float32Array:
    """(T, 20, 3) of a file."""
    values = _matrix(content, "d_skel", where)
    if values.ndim != 3 or values.shape[:2] != (20, 3) or not values.shape[2]:
        raise InputError(f"{where} has d_skel of shape {values.shape}; expected (20, 3, frames).")
    if values.dtype.kind not in "fiu":
        raise InputError(f"{where} has d_skel of type {values.dtype}; expected numbers.")
    joints: Float32Array = np.ascontiguousarray(values.transpose(2, 0, 1), dtype=np.float32)
    return joints
