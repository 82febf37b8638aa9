"""The NW-UCLA reader, on small files made here."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from video_files import decode_jpeg, encode_video, image_number, numbered_images

from hhmnet_core.errors import InputError
from hhmnet_core.sources.nw_ucla import ACTIONS, CLASS_NAMES, PROTOCOLS, Recordings
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.store.clips import Clip

NAMES = [
    f"a{action:02d}_s{subject:02d}_e00_v{view:02d}"
    for action in ACTIONS
    for subject in (1, 10)
    for view in (1, 2, 3)
]


def recording(name: str, **changes: Any) -> str:
    frames = 1 + sum(map(ord, name)) % 7
    skeletons = np.random.default_rng(frames).normal(size=(frames, 20, 3)).round(4).tolist()
    label = list(ACTIONS).index(int(name[1:3])) + 1
    return json.dumps({"file_name": name, "skeletons": skeletons, "label": label} | changes)


def make_zip(path: Path, **contents: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("all_sqe/", "")
        for name in reversed(NAMES):
            packed.writestr(f"all_sqe/{name}.json", contents.get(name, recording(name)))
    return path


def clips_of(recordings: Recordings) -> list[Clip]:
    return [recordings.clip(name) for name in recordings.names]


def test_zip_and_folder_give_the_same_clips(tmp_path: Path) -> None:
    packed = make_zip(tmp_path / "nw_ucla.zip")
    with zipfile.ZipFile(packed) as opened:
        opened.extractall(tmp_path / "folder")
    with Recordings(packed) as zipped, Recordings(tmp_path / "folder") as unpacked:
        pairs = list(zip(clips_of(zipped), clips_of(unpacked), strict=True))
        assert len(pairs) == len(NAMES)
    for one, two in pairs:
        assert one.sample_id == two.sample_id
        np.testing.assert_array_equal(one.joints, two.joints)
    assert [one.sample_id for one, _ in pairs] == sorted(NAMES)


def test_clip_carries_the_facts_of_its_name(tmp_path: Path) -> None:
    with Recordings(make_zip(tmp_path / "z.zip")) as recordings:
        clips = {clip.sample_id: clip for clip in clips_of(recordings)}
    clip = clips["a09_s10_e00_v03"]
    assert (clip.label, clip.subject, clip.camera, clip.setup) == (7, 10, 3, 0)
    assert CLASS_NAMES[clip.label] == "doffing"
    assert clip.joints.dtype == np.float32
    expected = json.loads(recording("a09_s10_e00_v03"))["skeletons"]
    np.testing.assert_allclose(clip.joints[0], expected, rtol=1e-6)
    assert sorted({clip.label for clip in clips.values()}) == list(range(10))


def test_joints_of_known_files_are_unchanged(tmp_path: Path) -> None:
    """A changed digest means other clips: change the reader's version too."""
    digest = hashlib.sha256()
    with Recordings(make_zip(tmp_path / "z.zip")) as recordings:
        for clip in clips_of(recordings):
            digest.update(clip.joints.tobytes())
    assert digest.hexdigest() == (
        "c0c15f4541d3ed4d329402541e50cd6dca4ed798055af4a30ee6377a719d5906"
    )


def test_protocols_are_cross_view() -> None:
    assert list(PROTOCOLS) == ["12-3", "13-2", "23-1", "1-2", "2-1"]
    assert (PROTOCOLS["13-2"].train, PROTOCOLS["13-2"].test) == (
        {"camera": [1, 3]},
        {"camera": [2]},
    )


def test_development_protocols_never_see_view_3() -> None:
    for name in ("1-2", "2-1"):
        assert {*PROTOCOLS[name].train["camera"], *PROTOCOLS[name].test["camera"]} == {1, 2}


def test_fingerprint_follows_the_contents_not_the_location(tmp_path: Path) -> None:
    changed = make_zip(tmp_path / "c.zip", **{NAMES[0]: recording(NAMES[1], label=1)})
    paths = [make_zip(tmp_path / "a.zip"), tmp_path / "b.zip", changed]
    paths[1].write_bytes(paths[0].read_bytes())
    prints = []
    for path in paths:
        with Recordings(path) as recordings:
            prints.append(recordings.fingerprint())
    assert prints[0] == prints[1] != prints[2]


def with_nan(name: str) -> str:
    skeletons = np.zeros((2, 20, 3))
    skeletons[1, 3, 0] = np.nan
    return recording(name, skeletons=skeletons.tolist())


BAD: dict[str, tuple[Callable[[str], str], str]] = {
    "cut": (lambda name: recording(name)[:-40], "is not JSON .* cut off"),
    "empty": (lambda _: "", "is not JSON"),
    "deep": (lambda _: "[" * 200_000, "is not JSON .*nested more than 64 deep"),
    "huge number": (lambda name: recording(name, label=2**64), "is not JSON .*more than 64 bits"),
    "huge": (lambda _: " " * 100_000_000, "would need 4.8 GB of memory, the limit"),
    "not an object": (lambda _: "[1, 2]", "lacks a key"),
    "no skeletons": (lambda _: '{"label": 1}', "lacks a key"),
    "joints": (lambda name: recording(name, skeletons=[[[0.0] * 3] * 19]), r"shape \(1, 19, 3\)"),
    "ragged": (lambda name: recording(name, skeletons=[[[0.0] * 3], []]), "unequal size"),
    "words": (lambda name: recording(name, skeletons=[[["x"] * 3] * 20]), "not numbers"),
    "none": (lambda name: recording(name, skeletons=[]), r"shape \(0,\)"),
    "nan": (with_nan, r"NaN or infinite .*frame 1, joint head"),
    "label": (lambda name: recording(name, label=4), "has label 4; the action in its name means 3"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_file_in_the_zip_is_named(tmp_path: Path, kind: str) -> None:
    spoil, message = BAD[kind]
    name = "a03_s01_e00_v02"
    path = make_zip(tmp_path / "nw_ucla.zip", **{name: spoil(name)})
    with pytest.raises(InputError, match=message) as caught, Recordings(path) as recordings:
        clips_of(recordings)
    assert f"all_sqe/{name}.json in {path}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_action_is_named(tmp_path: Path) -> None:
    (tmp_path / "a07_s01_e00_v01.json").write_text(recording(NAMES[0]))
    with pytest.raises(InputError, match=r"a07_s01_e00_v01.json .* names action 7"):
        clips_of(Recordings(tmp_path))


def test_cut_zip_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "nw_ucla.zip")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match=r"nw_ucla.zip is not a whole zip file"):
        Recordings(path)


def test_damaged_member_of_the_zip_is_named(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "nw_ucla.zip")
    content = bytearray(path.read_bytes())
    at = content.index(f"all_sqe/{NAMES[-1]}.json".encode()) + len(f"all_sqe/{NAMES[-1]}.json") + 20
    content[at] ^= 255
    path.write_bytes(content)
    with (
        pytest.raises(InputError, match=f"{NAMES[-1]}.json in .* cannot be read"),
        Recordings(path) as recordings,
    ):
        clips_of(recordings)


def test_path_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing at .*nowhere"):
        Recordings(tmp_path / "nowhere")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InputError, match="holds no NW-UCLA recordings"):
        Recordings(tmp_path)


@pytest.mark.parametrize(
    "path", ["a01/v02_s03_e00.avi", "a01_s03_e00_v02.avi", "x/v2_s3_e0_a1.avi"]
)
def test_videos_are_found_by_their_numbers(tmp_path: Path, path: str) -> None:
    poses = np.random.default_rng(0).uniform(-0.5, 0.5, (10, 20, 3))
    poses[..., 2] += 3
    source = tmp_path / "all_sqe"
    source.mkdir()
    content = recording("a01_s03_e00_v02", skeletons=poses.tolist())
    (source / "a01_s03_e00_v02.json").write_text(content)
    with zipfile.ZipFile(tmp_path / "videos.zip", "w") as packed:
        content = encode_video(numbered_images(20, 320, 240))
        packed.writestr(f"multiview_action_videos/{path}", content)
    config = VideoConfig(frames=4, size=32)
    with Recordings(source, str(tmp_path / "videos.zip"), config) as recordings:
        clip = recordings.clip(recordings.names[0])
    assert clip.video
    numbers = [image_number(decode_jpeg(file)) for file in clip.video.images]
    assert numbers == [3, 7, 13, 17]  # two images per frame, of frames 1, 3, 6 and 8
    x = 160 + 262.5 * poses[..., 0] / poses[..., 2]
    y = 120 - 262.5 * poses[..., 1] / poses[..., 2]
    side = max(np.ptp(x), np.ptp(y)) * 1.3
    spread = np.ptp(x[clip.video.positions[2]]) / side
    np.testing.assert_allclose(np.ptp(clip.video.joints[0, 2, :, 0]), spread, rtol=0.03)


def test_fingerprint_with_videos_holds_their_format_and_the_focal_length(tmp_path: Path) -> None:
    name = NAMES[0]
    (tmp_path / f"{name}.json").write_text(recording(name))
    (tmp_path / f"{name}.avi").write_bytes(b"")
    source = str(tmp_path)
    with Recordings(source) as plain, Recordings(source, source, focal=500.0) as filmed:
        added = filmed.fingerprint().items() - plain.fingerprint().items()
    fields = ["focal", "video.frames", "video.margin", "video.quality", "video.size", "videos"]
    assert sorted(key for key, _ in added) == fields
    with pytest.raises(InputError, match="focal must be above 0"):
        Recordings(source, focal=0.0)


def test_videos_of_other_clips_are_refused(tmp_path: Path) -> None:
    (tmp_path / f"{NAMES[0]}.json").write_text(recording(NAMES[0]))
    (tmp_path / f"{NAMES[1]}.avi").write_bytes(b"")
    with pytest.raises(InputError, match="holds 1 videos, but of none of the 1 clips"):
        Recordings(tmp_path, str(tmp_path))
