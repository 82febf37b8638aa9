"""One's own data, from a table and files of every kind, and every mistake in them."""

import json
from pathlib import Path

import numpy as np
import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.sources.own import Recordings

HEAD = "sample_id,label,subject,skeleton"


def table(folder: Path, *rows: str, head: str = HEAD) -> str:
    path = folder / "clips.csv"
    path.write_text("\n".join((head, *rows)) + "\n")
    return str(path)


def poses(*shape: int) -> np.ndarray:
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
    recordings = Recordings(table(tmp_path, *rows), get_layout("coco_17"))
    clips = [recordings.clip(name) for name in recordings.names]
    assert recordings.class_names == ("clap", "wave")
    assert [(c.sample_id, c.label, c.subject, c.camera, c.setup) for c in clips] == [
        ("c1", 1, 1, 1, 0), ("c2", 0, 2, 1, 0), ("c3", 1, 1, 1, 0),
    ]  # fmt: skip
    for clip, expected in zip(clips, (one[None], two, one[None]), strict=True):
        np.testing.assert_array_equal(clip.joints, expected)
    assert recordings.protocols["cross-subject"].test == {"subject": [2]}
    assert recordings.notes == ("there is no column split: subjects 2 test",)


def test_numbers_are_kept_and_columns_used(tmp_path: Path) -> None:
    head = "split,sample_id,label,subject,skeleton,camera"
    rows = ("train,a,10,7,a.npy,3", "test,b,9,12,a.npy,1")
    np.save(tmp_path / "a.npy", poses(3, 20, 3))
    recordings = Recordings(table(tmp_path, *rows, head=head), get_layout("kinect_v1_20"))
    one, two = map(recordings.clip, recordings.names)
    assert recordings.class_names == ("9", "10")
    assert (one.label, one.subject, one.camera, one.setup) == (1, 7, 3, 0)
    assert (two.label, two.subject, two.camera, two.setup) == (0, 12, 1, 1)
    assert recordings.protocols["given"].train == {"setup": [0]}
    assert not recordings.notes


GOOD = ("a,wave,1,a.npy", "b,clap,2,a.npy")
TABLES = {
    "column": (
        table,
        {"head": "sample_id,label,skeleton"},
        GOOD,
        "has no column subject",
    ),
    "unknown column": (table, {"head": HEAD + ",age"}, GOOD, "has an unknown column age"),
    "value": (table, {}, (*GOOD, "c,,1,a.npy"), "line 4: no label"),
    "short row": (table, {}, (*GOOD, "c,wave"), "line 4: no subject, skeleton"),
    "long row": (table, {}, (*GOOD, "c,wave,1,a,b.npy"), "line 4: more values than the 4 columns"),
    "twice": (table, {}, (*GOOD, "a,wave,1,a.npy"), "line 4: sample_id a occurs twice"),
    "no rows": (table, {}, (), "has no rows"),
    "camera": (table, {"head": HEAD + ",camera"}, ("a,wave,1,a.npy,left",), "camera 'left'"),
    "split": (table, {"head": HEAD + ",split"}, ("a,wave,1,a.npy,val",), "split 'val', expected"),
    "two": (table, {"head": HEAD + ",setup,split"}, ("a,wave,1,a.npy,1,test",), "has both setup"),
    "one subject": (table, {}, GOOD[:1], "has a single subject and no column split"),
    "one subject in two spellings": (
        table,
        {},
        ("a,wave,1,a.npy", "b,wave,01,a.npy"),
        "has a single subject and no column split",
    ),
}


@pytest.mark.parametrize("kind", TABLES)
def test_mistake_in_the_table_is_named(tmp_path: Path, kind: str) -> None:
    make, changes, rows, said = TABLES[kind]
    with pytest.raises(InputError, match=said) as caught:
        Recordings(make(tmp_path, *rows, **changes), get_layout("kinect_v1_20"))
    assert str(tmp_path / "clips.csv") in str(caught.value)


def test_unknown_label_and_place_are_named(tmp_path: Path) -> None:
    index = table(tmp_path, *GOOD)
    with pytest.raises(InputError, match="line 3: unknown label 'clap'; the classes are wave"):
        Recordings(index, get_layout("kinect_v1_20"), ["wave"])
    with pytest.raises(InputError, match=r"no table at .*nowhere\.csv"):
        Recordings(str(tmp_path / "nowhere.csv"), get_layout("coco_17"))
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not a CSV in UTF-8"):
        Recordings(str(tmp_path / "x.csv"), get_layout("coco_17"))


def pickled(path: Path) -> None:
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)


FILES = {
    "missing": (lambda path: None, "there is no such file"),
    "text": (lambda path: path.write_text("hello"), "cannot be read"),
    "empty": (lambda path: path.touch(), "cannot be read"),
    "pickle": (pickled, "cannot be read"),
    "joints": (lambda path: np.save(path, poses(4, 17, 3)), "17 joints of 3 channels, but layout"),
    "2D": (lambda path: np.save(path, poses(4, 20, 2)), "20 joints of 2 channels, but layout"),
    "flat": (lambda path: np.save(path, poses(4, 60)), r"joints of shape \(4, 60\)"),
    "nan": (lambda path: np.save(path, poses(4, 20, 3) * np.nan), "NaN or infinite"),
}


@pytest.mark.parametrize("kind", FILES)
def test_mistake_in_a_file_is_named(tmp_path: Path, kind: str) -> None:
    spoil, said = FILES[kind]
    spoil(tmp_path / "a.npy")
    index = table(tmp_path, *GOOD)
    recordings = Recordings(index, get_layout("kinect_v1_20"))
    with pytest.raises(InputError, match=said) as caught:
        recordings.clip("a")
    assert str(caught.value).startswith(f"a.npy of a in {index}")
    assert "\n" not in str(caught.value)


def test_fingerprint_follows_table_files_and_classes(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", poses(3, 20, 3))
    index = table(tmp_path, *GOOD)
    first = Recordings(index, get_layout("kinect_v1_20")).fingerprint()
    assert Recordings(index, get_layout("kinect_v1_20")).fingerprint() == first
    assert Recordings(index, get_layout("kinect_v1_20"), ["wave", "clap"]).fingerprint() != first
    np.save(tmp_path / "a.npy", poses(3, 20, 3) + 1)  # corrected, and as large
    assert Recordings(index, get_layout("kinect_v1_20")).fingerprint() != first
    filmed = table(tmp_path, "a,wave,1,a.npy,a.avi", "b,wave,2,a.npy,", head=f"{HEAD},video")
    made = []
    for video in (None, b"short", b"longer", b"longed"):
        if video:
            (tmp_path / "a.avi").write_bytes(video)
        made.append(Recordings(filmed, get_layout("kinect_v1_20")).fingerprint())
    assert made[0] != made[1] != made[2] == made[3]  # a video is known by its size
    assert {each["sha256"] for each in made} == {made[0]["sha256"]} != {first["sha256"]}
