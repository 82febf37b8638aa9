"""The UTD-MHAD reader, on small files made here."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat
from video_files import decode_jpeg, encode_video, image_number, numbered_images

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import Layout, get_layout
from hhmnet_core.sources.utd_mhad import CLASS_NAMES, LAYOUT, Recordings, depth_to_grey
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.store.clips import check_clip

CONFIG = VideoConfig(frames=4, size=32)
NAMES = [f"a{a}_s{s}_t{t}_skeleton.mat" for a in (1, 2, 10, 27) for s in (1, 8) for t in (1, 4)]


def skeleton(name: str) -> NDArray[np.float64]:
    frames = 2 + sum(map(ord, name)) % 5
    return np.random.default_rng(frames).normal(size=(20, 3, frames))


def matlab(**variables: object) -> bytes:
    file = io.BytesIO()
    savemat(file, variables)
    return file.getvalue()


def claim_frames(content: bytes, frames: int) -> bytes:
    """Change the number of frames in the header of a file that holds a skeleton."""
    dimensions = np.array([20, 3], "<i4").tobytes()
    at = content.index(dimensions) + len(dimensions)
    return content[:at] + np.array(frames, "<i4").tobytes() + content[at + 4 :]


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


def test_joints_of_known_files_are_unchanged(tmp_path: Path) -> None:
    """A changed digest means other clips: change the reader's version too."""
    recordings, digest = Recordings(make_zip(tmp_path / "utd.zip")), hashlib.sha256()
    for name in recordings.names:
        digest.update(recordings.clip(name).joints.tobytes())
    assert digest.hexdigest() == (
        "bae1bc93e6de280ae0aa6dc539759c51a88450a114d4e17efa1402b87eec4d6e"
    )


def test_layout_is_kinect_v1_from_the_head_downwards() -> None:
    def bone_names(layout: Layout) -> set[tuple[str, str]]:
        return {(layout.joints[child], layout.joints[parent]) for child, parent in layout.bones}

    kinect, utd = get_layout("kinect_v1_20"), get_layout(LAYOUT)
    assert utd.joints[:5] == ("head", "shoulder_centre", "spine", "hip_centre", "left_shoulder")
    assert bone_names(kinect) == bone_names(utd)
    assert utd.joints[utd.centre] == kinect.joints[kinect.centre]


BAD: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut": (lambda whole: whole[: len(whole) // 2], "is not a MATLAB file"),
    "text": (lambda _: b"hello" * 100, "is not a MATLAB file"),
    "empty": (lambda _: b"", "is not a MATLAB file"),
    "another variable": (lambda _: matlab(d_depth=np.ones(3)), "has no d_skel"),
    "joints": (lambda _: matlab(d_skel=np.ones((25, 3, 4))), r"d_skel of shape \(25, 3, 4\)"),
    "no frames": (lambda _: matlab(d_skel=np.ones((20, 3, 0))), r"shape \(20, 3, 0\)"),
    "huge": (lambda whole: claim_frames(whole, 10**8), "would need 120.0 GB of memory, the limit"),
    "cells": (
        lambda _: matlab(d_skel=np.full((20, 3, 2), "x", object)),
        "of type cell",
    ),
    "words": (lambda _: matlab(d_skel=np.full((20, 3, 2), "x")), "expected"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_file_is_named(tmp_path: Path, kind: str) -> None:
    spoil, message = BAD[kind]
    name = NAMES[3]
    path = make_zip(tmp_path / "utd.zip", **{name: spoil(matlab(d_skel=skeleton(name)))})
    recordings = Recordings(path)
    with pytest.raises(InputError, match=message) as caught:
        recordings.clip(recordings.names[3])
    assert str(caught.value).startswith(f"UTD-MHAD/Skeleton/{name} in {path} ")


def test_unknown_action_is_named(tmp_path: Path) -> None:
    (tmp_path / "a28_s1_t1_skeleton.mat").write_bytes(matlab(d_skel=np.ones((20, 3, 1))))
    recordings = Recordings(tmp_path)
    with pytest.raises(InputError, match="names action 28; UTD-MHAD has 1 to 27"):
        recordings.clip(recordings.names[0])


def write_files(folder: Path, frames: int = 12, depth_frames: int | None = None) -> str:
    """Write skeleton, depth and colour of one clip; each depth image has one depth."""
    random = np.random.default_rng(1)
    poses = random.uniform(-0.6, 0.6, (20, 3, frames))
    poses[:, 2] = 2.4
    savemat(folder / "a1_s1_t1_skeleton.mat", {"d_skel": poses})
    depth = np.zeros((240, 320, depth_frames or frames), np.uint16)
    depth[:, :] = 2000 + 100 * np.arange(depth.shape[2])
    savemat(folder / "a1_s1_t1_depth.mat", {"d_depth": depth})
    images = numbered_images(frames // 2, 320, 240)
    (folder / "a1_s1_t1_color.avi").write_bytes(encode_video(images))
    return str(folder)


def test_depth_is_grey_and_trails_the_skeleton(tmp_path: Path) -> None:
    recordings = Recordings(write_files(tmp_path), "depth", CONFIG)
    clip = recordings.clip(recordings.names[0])
    assert clip.video and clip.video.positions.tolist() == [1, 4, 7, 10]
    millimetres = 2000 + 100 * np.array([3, 6, 9, 11])  # two frames later, or the last
    greys = [round(decode_jpeg(file).mean()) for file in clip.video.images]
    np.testing.assert_allclose(greys, 1 + 254 * (2400 + 900 - millimetres) / 1500, atol=1.5)
    assert decode_jpeg(clip.video.images[0]).shape == (32, 32)


def test_depth_is_grey_around_the_body() -> None:
    depth = np.array([[0, 500, 1400, 2150, 2900, 9000]], dtype=np.uint16)
    assert depth_to_grey(depth, body=2000).tolist() == [[0, 255, 255, 128, 1, 1]]


def test_colour_begins_and_ends_with_the_skeleton(tmp_path: Path) -> None:
    recordings = Recordings(write_files(tmp_path), "rgb", CONFIG)
    clip = recordings.clip(recordings.names[0])
    assert clip.video
    assert [image_number(decode_jpeg(file)) for file in clip.video.images] == [0, 2, 3, 5]


def test_unusable_depth_leaves_the_skeleton_and_the_reason(tmp_path: Path) -> None:
    recordings = Recordings(write_files(tmp_path, depth_frames=9), "depth", CONFIG)
    clip = recordings.clip(recordings.names[0])
    assert clip.video is None and "d_depth of shape (240, 320, 9)" in clip.no_video
    (tmp_path / "a1_s1_t1_depth.mat").write_bytes(b"spoilt")
    assert "is not a MATLAB file" in recordings.clip(recordings.names[0]).no_video
    (tmp_path / "a1_s1_t1_depth.mat").rename(tmp_path / "a2_s1_t1_depth.mat")
    recordings = Recordings(tmp_path, "depth", CONFIG)
    assert recordings.clip(recordings.names[0]).no_video == "not found"


def test_source_without_depth_and_impossible_focal_length_are_refused(tmp_path: Path) -> None:
    write_files(tmp_path)
    with pytest.raises(InputError, match="focal must be above 0"):
        Recordings(tmp_path, "depth", focal=0.0)
    (tmp_path / "a1_s1_t1_depth.mat").unlink()
    with pytest.raises(InputError, match="holds no UTD-MHAD depth"):
        Recordings(tmp_path, "depth")


def test_fingerprint_follows_the_stream_and_the_focal_length(tmp_path: Path) -> None:
    source = write_files(tmp_path)
    plain, depth, rgb = (
        Recordings(source, stream, CONFIG).fingerprint() for stream in ("none", "depth", "rgb")
    )
    assert list(plain) == ["reader", "kind", "sha256"]
    assert plain.items() < depth.items() and plain.items() < rgb.items()
    assert (depth["stream"], depth["focal"], rgb["focal"]) == ("depth", "265.0", "262.5")
    assert depth["grey"] == "-600 to 900 mm of the body" and "grey" not in rgb
    assert Recordings(source, "rgb", CONFIG, 300.0).fingerprint()["focal"] == "300.0"
