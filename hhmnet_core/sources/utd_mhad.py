"""UTD-MHAD (Chen et al., ICIP 2015), the skeletons of its Kinect v1.

Reads `aA_sS_tT_skeleton.mat` (action, subject, trial): `d_skel`, 20 joints x 3 coordinates x T
frames, in metres.
"""

import io
import os
import re
from pathlib import Path

import numpy as np

from hhmnet_core.data.clips import Clip, Float32Array
from hhmnet_core.data.manifest import Protocol
from hhmnet_core.errors import InputError
from hhmnet_core.sources.archive import Archive

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


class Recordings:
    """The skeleton files of a folder, a zip, or the zips of a folder. Travels to processes.

    Args:
        source: Their URI.

    Attributes:
        names: The files, sorted by action, subject and trial.

    Raises:
        InputError: No such place, a damaged zip, or no such files.
    """

    def __init__(self, source: str | os.PathLike[str]) -> None:
        self.archive = Archive(
            os.fspath(source), _NAME, "UTD-MHAD skeletons", "a1_s1_t1_skeleton.mat"
        )
        self.names = sorted(self.archive.names, key=self._numbers)

    def fingerprint(self) -> dict[str, str]:
        """What the store is made from: the files' names and contents, not where they lie."""
        kind = "zip" if self.archive.is_zip else "folder"
        return {"reader": "utd_mhad/1", "kind": kind, "sha256": self.archive.fingerprint()}

    def clip(self, name: str) -> Clip:
        """The clip of a file.

        Raises:
            InputError: A file that cannot be read or does not hold what it should; it is named.
        """
        where = f"{name} in {self.archive.uri}"
        action, subject, _ = self._numbers(name)
        if not 1 <= action <= len(CLASS_NAMES):
            raise InputError(f"{where} names action {action}; UTD-MHAD has 1 to 27.")
        return Clip(
            sample_id=Path(name).stem.removesuffix("_skeleton"),
            label=action - 1,
            subject=subject,
            camera=1,
            setup=0,
            joints=_joints(self.archive.read(name), where)[None],
        )

    @staticmethod
    def _numbers(name: str) -> tuple[int, int, int]:
        found = _NAME.fullmatch(name)
        assert found
        return int(found[2]), int(found[3]), int(found[4])


def _joints(content: bytes, where: str) -> Float32Array:
    """(T, 20, 3) of a file."""
    from scipy.io import loadmat

    try:
        values = loadmat(io.BytesIO(content), variable_names=["d_skel"]).get("d_skel")
    except Exception as error:  # what scipy raises for bytes that are no such file has no base
        raise InputError(
            f"{where} is no MATLAB file of version 5 ({error}): it is cut off or damaged; get it "
            "again."
        ) from error
    if values is None or values.ndim != 3 or values.shape[:2] != (20, 3) or not values.shape[2]:
        seen = "no d_skel" if values is None else f"d_skel of shape {values.shape}"
        raise InputError(f"{where} has {seen}; expected (20, 3, frames).")
    if values.dtype.kind not in "fiu":
        raise InputError(f"{where} has d_skel of type {values.dtype}; expected numbers.")
    joints: Float32Array = np.ascontiguousarray(values.transpose(2, 0, 1), dtype=np.float32)
    return joints
