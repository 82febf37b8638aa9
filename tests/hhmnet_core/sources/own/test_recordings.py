"""A user's own data, from a table and files of every kind, and every mistake in the files."""

import hashlib
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from video_files import (
    decode_jpeg,
    encode_video,
    image_number,
    numbered_images,
    write_own_data,
)

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.sources.own.poses import Reading
from hhmnet_core.sources.own.recordings import Recordings
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.store.clips import Clip

HEAD = "sample_id,label,subject,skeleton"
GOOD = ("a,wave,1,a.npy", "b,clap,2,a.npy")
KINECT, COCO = get_layout("kinect_v1_20"), get_layout("coco_17")
CONFIG = VideoConfig(frames=4, size=32)


def table(folder: Path, *rows: str, head: str = HEAD) -> str:
    path = folder / "clips.csv"
    path.write_text("\n".join((head, *rows)) + "\n")
    return str(path)


def poses(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def test_files_of_every_kind_are_read(tmp_path: Path) -> None:
    one, two = poses(5, 17, 2), poses(2, 4, 17, 2)
    (tmp_path / "deep").mkdir()
    np.save(tmp_path / "deep" / "a.npy", one)
    np.savez(tmp_path / "b.npz", keypoints=two.astype(np.float64))
    (tmp_path / "c.json").write_text(json.dumps(one.tolist()))
    rows = (
        "c1,wave,anna,deep/a.npy",
        "c2,clap,bob,b.npz",
        f"c3,wave,anna,{tmp_path}/c.json",
    )
    recordings = Recordings(table(tmp_path, *rows), COCO)
    clips = [recordings.clip(name) for name in recordings.names]
    assert recordings.class_names == ("clap", "wave") and not recordings.has_video
    assert [(c.sample_id, c.label, c.subject, c.camera, c.setup) for c in clips] == [
        ("c1", 1, 1, 1, 0), ("c2", 0, 2, 1, 0), ("c3", 1, 1, 1, 0),
    ]  # fmt: skip
    for clip, expected in zip(clips, (one[None], two, one[None]), strict=True):
        np.testing.assert_array_equal(clip.joints, expected)
    assert recordings.protocols["cross-subject"].test == {"subject": [2]}
    assert len(recordings.notes) == 1


def test_joints_of_known_files_are_unchanged(tmp_path: Path) -> None:
    """A changed digest means other clips: change the reader's version too."""
    recordings, digest = Recordings(write_own_data(tmp_path), KINECT), hashlib.sha256()
    for name in recordings.names:
        digest.update(recordings.clip(name).joints.tobytes())
    assert digest.hexdigest() == (
        "a02cc1bff253ea3fb9eea974d3075de202ad66d322be0bc096d37f62346309b0"
    )


def test_missing_table_and_impossible_rate_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no table at .*nowhere\.csv: expected a CSV"):
        Recordings(str(tmp_path / "nowhere.csv"), COCO)
    with pytest.raises(InputError, match=r"fps must be above 0 frames a second, but is 0\.0"):
        Recordings(table(tmp_path, *GOOD), COCO, fps=0.0)


def save_pickled(path: Path) -> None:
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)


def save_header(path: Path, size: int) -> None:
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (size,)}
        np.lib.format.write_array_header_1_0(file, header)


def save_bomb(path: Path) -> None:
    """Write a small .npz of 5 GB of zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        with packed.open("joints.npy", "w", force_zip64=True) as file:
            for _ in range(5 * 64):
                file.write(bytes(1 << 24))


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "there is no such file"),
    "text": (lambda path: path.write_text("hello"), "cannot be read"),
    "empty": (lambda path: path.touch(), "cannot be read"),
    "pickle": (save_pickled, "cannot be read"),
    "claims 12 TiB": (lambda path: save_header(path, 12 * 2**40), "would need .* GB of memory"),
    "joints": (lambda path: np.save(path, poses(4, 17, 3)), "17 joints, 3 coordinates, but layout"),
    "2D": (lambda path: np.save(path, poses(4, 20, 2)), "20 joints, 2 coordinates, but layout"),
    "flat": (lambda path: np.save(path, poses(4, 60)), r"shape \(4, 60\), expected \(T, V, C\)"),
    "nan": (lambda path: np.save(path, poses(4, 20, 3) * np.nan), "shows nobody"),
}


@pytest.mark.parametrize("kind", FILES)
def test_mistake_in_a_file_is_named(tmp_path: Path, kind: str) -> None:
    spoil, message = FILES[kind]
    spoil(tmp_path / "a.npy")
    index = table(tmp_path, *GOOD)
    with pytest.raises(InputError, match=message) as caught:
        Recordings(index, KINECT).clip("a")
    assert str(caught.value).startswith(f"a.npy of a in {index}")
    assert "\n" not in str(caught.value)


JSON_FILES = {
    "[" * 200_000: "nested more than 64 deep",
    f"[[[{2**63}]]]": "more than 64 bits",
    " " * 100_000_000: "would need 4.8 GB of memory, the limit for one file is 4.3 GB",
}


@pytest.mark.parametrize("number", range(len(JSON_FILES)))
def test_json_that_cannot_be_read_is_named(tmp_path: Path, number: int) -> None:
    text, message = list(JSON_FILES.items())[number]
    (tmp_path / "a.json").write_text(text)
    index = table(tmp_path, "a,wave,1,a.json", "b,clap,2,a.json")
    with pytest.raises(InputError, match=message):
        Recordings(index, KINECT).clip("a")


def test_file_that_expands_beyond_the_limit_is_refused_unread(tmp_path: Path) -> None:
    save_bomb(tmp_path / "a.npz")
    recordings = Recordings(table(tmp_path, "a,wave,1,a.npz", "b,clap,2,a.npz"), KINECT)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"a\.npz of a in .* would need 5.4 GB of memory"):
        recordings.clip("a")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 << 20


@pytest.mark.parametrize("number", ["1" * 19, "1" * 5000])
def test_number_that_does_not_fit_64_bits(tmp_path: Path, number: str) -> None:
    index = table(tmp_path, f"a,wave,1,a.npy,{number}", head=f"{HEAD},camera")
    with pytest.raises(InputError, match="expected a whole number of at most 18 digits"):
        Recordings(index, KINECT)
    rows = (f"a,{number},{number},a.npy", "b,2,2,a.npy")
    assert Recordings(table(tmp_path, *rows), KINECT).names == ["a", "b"]


def test_file_of_several_arrays_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", one=poses(4, 20, 3), two=poses(4, 20, 3))
    index = table(tmp_path, "a,wave,1,a.npz", "b,clap,2,a.npz")
    with pytest.raises(InputError, match=r"arrays one, two, expected one, or joints and pixels"):
        Recordings(index, KINECT).clip("a")


def test_fingerprint_follows_table_files_and_classes(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", poses(5, 20, 3))
    index = table(tmp_path, *GOOD)
    first = Recordings(index, KINECT).fingerprint()
    assert Recordings(index, KINECT).fingerprint() == first
    assert Recordings(index, KINECT, ["wave", "clap"]).fingerprint() != first
    np.save(tmp_path / "a.npy", poses(5, 20, 3) + 1)  # other values, equal size
    assert Recordings(index, KINECT).fingerprint() != first
    index = table(tmp_path, "a,wave,1,a.npy,a.avi", "b,clap,2,a.npy,", head=f"{HEAD},video")
    made = []
    for video in (None, b"short", b"longer", b"longed"):
        if video:
            (tmp_path / "a.avi").write_bytes(video)
        made.append(Recordings(index, KINECT).fingerprint())
    assert made[0] != made[1] != made[2] == made[3]  # a video is identified by its size
    assert {each["sha256"] for each in made} == {made[0]["sha256"]} != {first["sha256"]}


def test_videos_with_pixels_without_pixels_and_without_a_file(tmp_path: Path) -> None:
    recordings = Recordings(write_own_data(tmp_path), KINECT, (), CONFIG)
    a, b, c, d, e, f = (recordings.clip(sample_id) for sample_id in "abcdef")
    assert a.video and a.video.joints.shape == (2, 4, 20, 2)
    assert [image_number(decode_jpeg(file)) for file in a.video.images] == [3, 7, 11, 15]
    assert b.no_video == "its skeleton file has no pixels"
    assert c.no_video == "none in the table"
    assert d.no_video == "there is no file no.avi"
    assert e.no_video.startswith("Cannot read . in") and "Protocol not known" in f.no_video
    assert not any(clip.video for clip in (b, c, d, e, f))
    assert not any(clip.pixels is not None for clip in (a, b, c, d, e, f))


def test_2d_joints_are_the_positions_in_the_video(tmp_path: Path) -> None:
    joints = np.random.default_rng(0).uniform(12, 36, size=(8, 17, 2)).astype(np.float32)
    np.save(tmp_path / "a.npy", joints)
    (tmp_path / "a.avi").write_bytes(encode_video(numbered_images(8)))
    rows = ("a,x,1,a.npy,a.avi", "b,y,2,a.npy,a.avi")
    index = table(tmp_path, *rows, head=f"{HEAD},video")
    clip = Recordings(index, COCO, (), CONFIG).clip("a")
    assert clip.video and ((clip.video.joints > 0) & (clip.video.joints < 1)).all()
    assert [image_number(decode_jpeg(file)) for file in clip.video.images] == [1, 3, 5, 7]
    # At 4 frames per second the skeleton lasts 2 s, the video of 30 images per second 0.3 s.
    late = Recordings(index, COCO, (), CONFIG, fps=4.0)
    assert late.clip("a").video  # equal numbers of images and frames are matched one to one
    (tmp_path / "a.avi").write_bytes(encode_video(numbered_images(9)))
    assert late.clip("a").no_video == "it shows 0.3 s, but its skeleton 2.0 s"


def write_clips(folder: Path, arrays: list[NDArray[Any]], head: str = HEAD) -> str:
    """Write clips of two classes and of subjects s1, s2, ... in turn."""
    rows = []
    for number, array in enumerate(arrays):
        np.save(folder / f"{number}.npy", array)
        rows.append(f"c{number},{'wave' if number % 2 else 'clap'},s{1 + number},{number}.npy")
    return table(folder, *rows, head=head)


def read_all(index: str, **reading: Any) -> list[Clip]:
    recordings = Recordings(index, COCO, reading=Reading(**reading))
    recordings.fingerprint()
    return [recordings.clip(name) for name in recordings.names]


def test_files_of_another_order_are_asked_and_then_read(tmp_path: Path) -> None:
    bodies = [poses(2, frames, 17, 3) for frames in (9, 12)]
    for array in bodies:
        array[..., 2] = 0.9  # confidence
    index = write_clips(tmp_path, [array.transpose(3, 1, 2, 0) for array in bodies])
    with pytest.raises(InputError, match=r"1\.npy has the shape \(3, 12, 17, 2\).* --axes CTVM"):
        read_all(index)
    for clip, expected in zip(read_all(index, axes="CTVM"), bodies, strict=True):
        np.testing.assert_array_equal(clip.joints, expected[..., :2])
    prints = [Recordings(index, COCO, reading=Reading(axes=axes)) for axes in ("CTVM", "MTVC")]
    assert prints[0].fingerprint() != prints[1].fingerprint()


def test_confidence_of_2d_joints_is_read(tmp_path: Path) -> None:
    arrays = [np.concatenate([poses(9, 17, 2), np.full((9, 17, 1), 0.9)], -1) for _ in range(2)]
    arrays[0][4, 7, 2] = 0.01
    index = write_clips(tmp_path, arrays)
    with pytest.raises(InputError, match=r"1 positions in 1 of 9 frames .* first left_elbow"):
        read_all(index)
    clip, whole = read_all(index, missing="hold")
    np.testing.assert_array_equal(clip.joints[0, 4, 7], clip.joints[0, 3, 7])
    assert clip.missing is not None and np.argwhere(clip.missing).tolist() == [[0, 4, 7]]
    assert whole.missing is None
    assert not any(clip.missing is not None for clip in read_all(index, min_confidence=0.0))
    for array in arrays:
        array[..., 2] = 2.5  # a depth, in metres
    with pytest.raises(InputError, match=r"2\.5 to 2\.5, which is no confidence"):
        read_all(write_clips(tmp_path, arrays))


def test_joints_that_are_zero_throughout_are_no_lost_ones(tmp_path: Path) -> None:
    arrays = [poses(9, 17, 2) for _ in range(2)]
    for array in arrays:
        array[:, 0] = 0  # the nose, on which they are centred
    index = write_clips(tmp_path, arrays)
    clip, _ = read_all(index)
    np.testing.assert_array_equal(clip.joints[0], arrays[0])
    (note,) = [each for each in Recordings(index, COCO).notes if "zero" in each]
    assert note.endswith("count as known: nose")
    arrays[1][3, 0] = 1
    with pytest.raises(InputError, match="first nose in frame 1: give --missing"):
        read_all(write_clips(tmp_path, arrays))


def test_clips_that_are_centred_on_their_first_frame_are_right(tmp_path: Path) -> None:
    arrays = [poses(9, 17, 2) for _ in range(3)]
    index = write_clips(tmp_path, [array - array[0, 0] for array in arrays])
    for clip, array in zip(read_all(index), arrays, strict=True):
        np.testing.assert_array_equal(clip.joints[0], array - array[0, 0])


def test_padding_is_counted_and_video_stays_in_step(tmp_path: Path) -> None:
    joints = np.random.default_rng(0).uniform(12, 36, size=(8, 17, 2)).astype(np.float32)
    padded = np.zeros((20, 17, 2), np.float32)
    padded[3:11] = joints
    np.save(tmp_path / "a.npy", padded)
    (tmp_path / "a.avi").write_bytes(encode_video(numbered_images(20)))
    rows = ("a,x,1,a.npy,a.avi", "b,y,2,a.npy,a.avi")
    clip = Recordings(table(tmp_path, *rows, head=f"{HEAD},video"), COCO, (), CONFIG).clip("a")
    np.testing.assert_array_equal(clip.joints[0], joints)
    assert clip.dropped == {"frames of padding": 12} and clip.video
    assert [image_number(decode_jpeg(file)) for file in clip.video.images] == [4, 6, 8, 10]


def test_unknown_joints_are_unknown_in_the_image(tmp_path: Path) -> None:
    joints = np.random.default_rng(0).uniform(12, 36, size=(2, 8, 17, 2)).astype(np.float32)
    joints[0, :, 3], joints[1, 4:] = 0, 0  # a joint, and a body that has gone
    np.save(tmp_path / "a.npy", joints)
    np.save(tmp_path / "b.npy", joints[:1] + 1)
    (tmp_path / "a.avi").write_bytes(encode_video(numbered_images(8)))
    rows = ("a,x,1,a.npy,a.avi", "b,y,2,b.npy,a.avi")
    index = table(tmp_path, *rows, head=f"{HEAD},video")
    reading = Reading(missing="hold", axes="MTVC")
    clip = Recordings(index, COCO, (), CONFIG, reading=reading).clip("a")
    assert clip.video
    unknown = np.isnan(clip.video.joints).all(-1)
    assert unknown[0, :, 3].all() and unknown[1, 2:].all() and unknown.sum() == 4 + 2 * 17


def test_bodies_of_other_sizes_and_equal_files_are_told(tmp_path: Path) -> None:
    arrays = [poses(9, 17, 2), 3 * poses(9, 17, 2), poses(9, 17, 2), poses(9, 17, 2)]
    recordings = Recordings(write_clips(tmp_path, arrays), COCO)
    assert recordings.size_ratio == pytest.approx(3)
    notes = "\n".join(recordings.notes)
    assert "bodies of subjects s2 and subjects s1 differ in size by a factor of 3.0" in notes
    # Clips 0, 2 and 3 are equal.
    assert "1 clips have the skeleton of another clip with another label: c0 and c3" in notes
    rows = ("a,x,1,0.npy,train", "b,y,2,1.npy,train", "c,x,3,0.npy,test")
    notes = "\n".join(Recordings(table(tmp_path, *rows, head=f"{HEAD},split"), COCO).notes)
    assert "1 clips have the skeleton of another clip in another split: a and c" in notes


@pytest.mark.parametrize("factor", [100, 1000, 0.001])
def test_clips_in_another_unit_are_refused_by_name(tmp_path: Path, factor: float) -> None:
    arrays = [size * poses(9, 17, 2) for size in (1, 1.5, factor, 3, 0.8)]
    recordings = Recordings(write_clips(tmp_path, arrays), COCO)
    with pytest.raises(InputError, match=r"1 of 5 clips .* are in another unit.*: c2 "):
        _ = recordings.size_ratio


NUMBERS: dict[str, tuple[NDArray[Any], str]] = {
    "complex": (np.ones((9, 17, 2), complex), "values of type complex128, expected real numbers"),
    "text": (np.full((9, 17, 2), "1.5"), "values of type <U3, expected real numbers"),
    "flags": (np.ones((9, 17, 2), bool), "values of type bool, expected real numbers"),
    "huge": (np.full((9, 17, 2), 1e300), "the number 1e\\+300, beyond float32"),
    "infinite": (np.full((9, 17, 2), np.inf), "an infinite coordinate"),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_that_cannot_be_used_are_named_in_one_line(
    kind: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    array, message = NUMBERS[kind]
    with pytest.raises(InputError, match=message) as caught:
        read_all(write_clips(tmp_path, [array, poses(9, 17, 2)]))
    assert "0.npy" in str(caught.value) and "\n" not in str(caught.value) and not recwarn.list


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.mat", "a.pkl", "a"])
def test_other_kinds_of_files_are_refused_by_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("1 2 3")
    index = table(tmp_path, f"a,wave,1,{name}", f"b,clap,2,{name}")
    message = rf"{name} of a in .* is no \.npy, \.npz, \.json: convert it"
    with pytest.raises(InputError, match=message):
        Recordings(index, COCO).clip("a")
