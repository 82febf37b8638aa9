"""UTD-MHAD (Chen et al., ICIP 2015): skeletons, depth and colour recorded by its Kinect v1.

Skeletons are `aA_sS_tT_skeleton.mat` files (action, subject, trial) with `d_skel`, 20 joints x 3
coordinates x T frames, in metres. Videos are `aA_sS_tT_depth.mat` files with `d_depth`, 240 x 320 x
T, in millimetres, zero where nothing was measured; or `aA_sS_tT_color.avi`.
"""

import io
import math
import os
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.checks.memory import check_file_memory
from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.sources.archive import Archive, FileKind
from hhmnet_core.sources.video_crops import Camera, VideoConfig
from hhmnet_core.sources.video_decoding import Image, NoVideoError
from hhmnet_core.sources.video_files import Videos, attach_video, config_fingerprint
from hhmnet_core.sources.video_timing import Timing
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
WIDTH = 320
# In pixels of an image WIDTH wide. The depth camera's fits the skeletons; the colour camera's is
# the nominal one of the Kinect v1.
FOCAL = {"depth": 265.0, "rgb": 262.5}
# Frames by which depth trails the skeletons: with two, 90 % of the moving joints lie on the body,
# with none 76 % (80 clips).
DEPTH_LAG = 2
# Range of depths kept around the body, in millimetres: an outstretched arm, and a little behind.
DEPTH_BEFORE, DEPTH_BEHIND = 600.0, 900.0
Stream = Literal["none", "depth", "rgb"]
_BYTES_PER_NUMBER = 16 + 4  # the largest type of MATLAB, and float32
# Classes of variables whose size does not follow from their shape.
_NO_NUMBERS = ("cell", "struct", "object", "opaque", "function", "sparse", "char")

_SKELETONS = FileKind(
    re.compile(r"(?:.*/)?a(\d{1,18})_s(\d{1,18})_t(\d{1,18})_skeleton\.mat"),
    "UTD-MHAD skeletons",
    "a1_s1_t1_skeleton.mat",
)
_DEPTH = FileKind(
    re.compile(r"(?:.*/)?a\d{1,18}_s\d{1,18}_t\d{1,18}_depth\.mat"),
    "UTD-MHAD depth",
    "a1_s1_t1_depth.mat",
)
_COLOUR = FileKind(
    re.compile(r"(?:.*/)?a\d{1,18}_s\d{1,18}_t\d{1,18}_color\.(?i:avi)"),
    "UTD-MHAD videos",
    "a1_s1_t1_color.avi",
)


class Recordings:
    """The skeleton files of a folder, a zip, or a folder of zips. It can be pickled.

    Args:
        source: URI of the files.
        stream: Video of the clips: "depth" or "rgb", from files beside the skeletons, or "none".
        video: Format of the stored videos.
        focal: Focal length of the camera, in pixels of an image 320 wide. None: `FOCAL`.

    Attributes:
        names: Names of the skeleton files, sorted by action, subject and trial.

    Raises:
        InputError: Nothing at `source`, a damaged zip, no matching files, or a focal length that is
            not above 0.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        stream: Stream = "none",
        video: VideoConfig | None = None,
        focal: float | None = None,
    ) -> None:
        uri = os.fspath(source)
        self.archive = Archive(uri, _SKELETONS)
        self.names = sorted(self.archive.names, key=_numbers)
        self.stream, self.video = stream, video or VideoConfig()
        self.camera = Camera(FOCAL.get(stream, 1.0) if focal is None else focal, WIDTH)
        self._depth: Archive | None = None
        self._colour: Videos | None = None
        if stream == "depth":
            self._depth = Archive(uri, _DEPTH)
            self._depth_of = {_sample_id(name): name for name in self._depth.names}
        elif stream == "rgb":
            self._colour = Videos(uri, _COLOUR, _sample_id, self.video)

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the source: the files' names and contents, not their location."""
        kind = "zip" if self.archive.is_zip else "folder"
        skeletons = {"reader": "utd_mhad/1", "kind": kind, "sha256": self.archive.fingerprint()}
        videos = self._colour.archive if self._colour else self._depth
        if videos is None:
            return skeletons
        settings = {"stream": self.stream, "focal": str(self.camera.focal)}
        settings |= config_fingerprint(self.video)
        if self.stream == "depth":
            settings["grey"] = f"-{DEPTH_BEFORE:.0f} to {DEPTH_BEHIND:.0f} mm of the body"
        return skeletons | settings | {"videos": videos.quick_fingerprint()}

    def clip(self, name: str) -> Clip:
        """Read the clip of a file.

        Raises:
            InputError: The file is unreadable or malformed; the message names it.
        """
        where = f"{name} in {self.archive.uri}"
        action, subject, _ = _numbers(name)
        if not 1 <= action <= len(CLASS_NAMES):
            raise InputError(f"{where} names action {action}; UTD-MHAD has 1 to 27.")
        clip = Clip(
            sample_id=_sample_id(name),
            label=action - 1,
            subject=subject,
            camera=1,
            setup=0,
            joints=_parse_joints(self.archive.read(name), where)[None],
        )
        locate = self.camera.locator(clip.joints)
        if self._colour:
            return self._colour.attach(clip, locate, Timing.whole(clip.joints.shape[1]))
        if self._depth:
            return attach_video(clip, lambda at: self._depth_images(clip, at), locate, self.video)
        return clip

    def _depth_images(self, clip: Clip, positions: Int64Array) -> list[Image]:
        assert self._depth
        if clip.sample_id not in self._depth_of:
            raise NoVideoError("not found")
        name = self._depth_of[clip.sample_id]
        try:
            depth = _matrix(self._depth.read(name), "d_depth", f"{name} in {self._depth.uri}")
        except AccessError:
            raise
        except InputError as error:
            raise NoVideoError(str(error)) from error
        frames = clip.joints.shape[1]
        if depth.ndim != 3 or depth.dtype.kind != "u" or depth.shape[2] != frames:
            raise NoVideoError(
                f"d_depth of shape {depth.shape} and type {depth.dtype}, expected unsigned numbers "
                f"of shape (rows, columns, {frames}), as its skeleton has"
            )
        body = 1000 * float(np.median(clip.joints[..., 2]))
        return [
            depth_to_grey(depth[:, :, min(frame + DEPTH_LAG, frames - 1)], body)
            for frame in positions
        ]


def depth_to_grey(depth: NDArray[np.unsignedinteger[Any]], body: float) -> Image:
    """Convert depth to grey levels, 5.9 mm each: (H, W) -> (H, W) uint8.

    255 is 0.6 m before the body and nearer, 1 is 0.9 m behind it and farther, 0 is unmeasured.

    Args:
        depth: (H, W) millimetres from the camera.
        body: Distance of the body from the camera, in millimetres.
    """
    share = (body + DEPTH_BEHIND - depth.astype(np.float32)) / (DEPTH_BEFORE + DEPTH_BEHIND)
    levels = np.rint(1 + 254 * np.clip(share, 0, 1))
    return np.where(depth > 0, levels, 0).astype(np.uint8)


def _numbers(name: str) -> tuple[int, int, int]:
    """Return action, subject and trial of a skeleton file."""
    action, subject, trial = map(int, _SKELETONS.groups(name))
    return action, subject, trial


def _sample_id(name: str) -> str:
    return Path(name).stem.rpartition("_")[0]


def _matrix(content: bytes, variable: str, where: str) -> NDArray[Any]:
    """Return a variable of a MATLAB file. Raises InputError if the file or variable is missing."""
    from scipy.io import loadmat, whosmat

    try:
        for name, shape, kind in whosmat(io.BytesIO(content)):
            if name == variable and kind in _NO_NUMBERS:
                raise InputError(f"{where} has {variable} of type {kind}; expected numbers.")
            if name == variable:
                check_file_memory(math.prod(shape) * _BYTES_PER_NUMBER, where)
        values = loadmat(io.BytesIO(content), variable_names=[variable]).get(variable)
    except InputError:
        raise
    except Exception as error:  # scipy's errors for malformed bytes have no common base
        raise InputError(
            f"{where} is not a MATLAB file of version 5 ({error}): it is cut off or damaged; get "
            "it again."
        ) from error
    if values is None:
        raise InputError(f"{where} has no {variable}.")
    matrix: NDArray[Any] = np.asarray(values)
    return matrix


def _parse_joints(content: bytes, where: str) -> Float32Array:
    """Return the joints (T, 20, 3) of a skeleton file, in metres."""
    values = _matrix(content, "d_skel", where)
    if values.ndim != 3 or values.shape[:2] != (20, 3) or not values.shape[2]:
        raise InputError(f"{where} has d_skel of shape {values.shape}; expected (20, 3, frames).")
    if values.dtype.kind not in "fiu":
        raise InputError(f"{where} has d_skel of type {values.dtype}; expected numbers.")
    joints: Float32Array = np.ascontiguousarray(values.transpose(2, 0, 1), dtype=np.float32)
    return joints
