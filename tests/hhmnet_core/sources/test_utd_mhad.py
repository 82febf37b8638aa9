"""The UTD-MHAD reader, on small MATLAB files made here."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.sources.utd_mhad import CLASS_NAMES, LAYOUT, Recordings
from hhmnet_core.store.clips import check_clip

NAMES = [f"a{a}_s{s}_t{t}_skeleton.mat" for a in (1, 2, 10, 27) for s in (1, 8) for t in (1, 4)]


def skeleton(name: str) -> NDArray[np.float64]:
    frames = 2 + sum(map(ord, name)) % 5
    return np.random.default_rng(frames).normal(size=(20, 3, frames))


def matlab(**variables: object) -> bytes:
    file = io.BytesIO()
    savemat(file, variables)
    return file.getvalue()


def make_zip(path: Path, **contents: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        for name in NAMES:
            content = contents.get(name, matlab(d_skel=skeleton(name)))
            packed.writestr(f"UTD-MHAD/Skeleton/{name}", content)
        packed.writestr("UTD-MHAD/Skeleton/Skeleton_joint_order.txt", "1. head;")
    return path


def test_clips_are_the_files_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    recordings = Recordings(make_zip(tmp_path / "utd.zip"))
    assert [Path(name).name for name in recordings.names] == NAMES
    clips = [recordings.clip(name) for name in recordings.names]
    assert clips[-1].sample_id == "a27_s8_t4"
    assert (clips[-1].label, clips[-1].subject, clips[-1].camera) == (26, 8, 1)
    assert CLASS_NAMES[clips[-1].label] == "squat"
    for clip, name in zip(clips, NAMES, strict=True):
        check_clip(clip, get_layout(LAYOUT), 27)
        expected = skeleton(name).transpose(2, 0, 1)[None].astype(np.float32)
        np.testing.assert_array_equal(clip.joints, expected)


def test_layout_is_kinect_v1_from_the_head_downwards() -> None:
    ours, theirs = get_layout("kinect_v1_20"), get_layout(LAYOUT)
    assert theirs.joints[:5] == (
        "head", "shoulder_centre", "spine", "hip_centre", "left_shoulder",
    )  # fmt: skip
    named = lambda layout: {(layout.joints[c], layout.joints[p]) for c, p in layout.bones}  # noqa: E731
    assert named(ours) == named(theirs)
    assert theirs.joints[theirs.centre] == ours.joints[ours.centre]


BAD: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut": (lambda whole: whole[: len(whole) // 2], "is no MATLAB file"),
    "text": (lambda _: b"hello" * 100, "is no MATLAB file"),
    "empty": (lambda _: b"", "is no MATLAB file"),
    "another variable": (lambda _: matlab(d_depth=np.ones(3)), "has no d_skel"),
    "joints": (lambda _: matlab(d_skel=np.ones((25, 3, 4))), r"d_skel of shape \(25, 3, 4\)"),
    "no frames": (lambda _: matlab(d_skel=np.ones((20, 3, 0))), r"shape \(20, 3, 0\)"),
    "words": (lambda _: matlab(d_skel=np.full((20, 3, 2), "x")), "expected"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_file_is_named(tmp_path: Path, kind: str) -> None:
    spoil, said = BAD[kind]
    name = NAMES[3]
    path = make_zip(tmp_path / "utd.zip", **{name: spoil(matlab(d_skel=skeleton(name)))})
    recordings = Recordings(path)
    with pytest.raises(InputError, match=said) as caught:
        recordings.clip(recordings.names[3])
    assert str(caught.value).startswith(f"UTD-MHAD/Skeleton/{name} in {path} ")


def test_unknown_action_is_named(tmp_path: Path) -> None:
    (tmp_path / "a28_s1_t1_skeleton.mat").write_bytes(matlab(d_skel=np.ones((20, 3, 1))))
    recordings = Recordings(tmp_path)
    with pytest.raises(InputError, match="names action 28; UTD-MHAD has 1 to 27"):
        recordings.clip(recordings.names[0])
