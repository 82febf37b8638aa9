"""Annotation files of PYSKL: clips, splits, and every mistake in them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from field_files import annotations, write_annotations

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.sources.pyskl import Recordings
from hhmnet_core.store.protocols import LITERATURE, VAL, apply_protocol


def split_of(recordings: Recordings, protocol: str, selection: str) -> dict[str, list[str]]:
    clips = [recordings.clip(name) for name in recordings.names]
    groups = {
        field: np.array([getattr(clip, field) for clip in clips])
        for field in ("subject", "camera", "setup")
    }
    split = apply_protocol(groups, recordings.protocols[protocol], selection)
    return {
        kind: [recordings.names[at] for at in getattr(split, kind)]
        for kind in ("train", "val", "test")
    }


def test_clips_and_splits_are_those_of_the_file(tmp_path: Path) -> None:
    recordings = Recordings(write_annotations(tmp_path / "some.pkl"))
    content = annotations()
    assert recordings.dataset == "some" and recordings.layout.name == "coco_17"
    assert recordings.class_names == ("0", "1")
    for fields in content["annotations"]:
        clip = recordings.clip(fields["frame_dir"])
        np.testing.assert_array_equal(clip.joints, fields["keypoint"].astype(np.float32))
        assert (clip.label, clip.subject, clip.camera) == (fields["label"], 0, 1)
        assert clip.missing is None
    split = split_of(recordings, "sub", LITERATURE)
    assert split == {
        "train": content["split"]["sub_train"], "val": [], "test": content["split"]["sub_val"],
    }  # fmt: skip


def test_val_is_drawn_by_class_with_the_seed(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "a.pkl", annotations([f"v{n:03}" for n in range(300)]))
    first, again, other = (split_of(Recordings(path, seed=s), "sub", VAL) for s in (1, 1, 2))
    assert first == again and first["val"] != other["val"]
    assert first["test"] == other["test"]
    assert (
        sorted(first["train"] + first["val"])
        == annotations([f"v{n:03}" for n in range(300)])["split"]["sub_train"]
    )
    labels = [int(name[1:]) % 2 for name in first["val"]]
    assert labels.count(0) == labels.count(1) == 10  # a tenth of the 100 of each class


def test_names_of_ntu_give_subjects_and_cameras(tmp_path: Path) -> None:
    names = [f"S001C{c:03}P{p:03}R001A001" for c in (1, 2, 3) for p in range(1, 9)]
    content = annotations(names, 25, 3, bodies=2)
    for fields in content["annotations"][::2]:
        fields["keypoint"][1] = 0  # nobody
    recordings = Recordings(write_annotations(tmp_path / "ntu.pkl", content))
    assert recordings.layout.name == "kinect_v2_25"
    clips = [recordings.clip(name) for name in recordings.names]
    assert {(clip.subject, clip.camera) for clip in clips} == {
        (p, c) for p in range(1, 9) for c in (1, 2, 3)
    }
    assert sorted({clip.joints.shape[0] for clip in clips}) == [1, 2]
    split = split_of(recordings, "sub", VAL)  # whole subjects
    subjects = {kind: {name[8:12] for name in split[kind]} for kind in ("train", "val")}
    assert subjects["val"] and not subjects["train"] & subjects["val"]


def test_two_protocols_and_a_val_of_their_own(tmp_path: Path) -> None:
    content = annotations()
    names = [fields["frame_dir"] for fields in content["annotations"]]
    content["split"] = {
        "xsub_train": names[:12], "xsub_val": names[12:],
        "xset_train": names[::2], "xset_val": names[1:8:2], "xset_test": names[9::2],
    }  # fmt: skip
    recordings = Recordings(write_annotations(tmp_path / "a.pkl", content))
    assert list(recordings.protocols) == ["xsub", "xset"]
    assert split_of(recordings, "xset", VAL) == {
        "train": names[::2], "val": names[1:8:2], "test": names[9::2],
    }  # fmt: skip
    assert split_of(recordings, "xsub", LITERATURE)["train"] == names[:12]


def test_missing_joints_are_those_of_low_score(tmp_path: Path) -> None:
    content = annotations()
    content["annotations"][0]["keypoint_score"][0, 2, 5] = 0.1
    content["annotations"][0]["keypoint"][0, 3, 6] = 0
    path = write_annotations(tmp_path / "a.pkl", content)
    clip = Recordings(path).clip("v00")
    assert clip.missing is not None and np.argwhere(clip.missing).tolist() == [[0, 3, 6]]
    clip = Recordings(path, min_confidence=0.2).clip("v00")
    assert clip.missing is not None
    assert np.argwhere(clip.missing).tolist() == [[0, 2, 5], [0, 3, 6]]
    np.testing.assert_array_equal(clip.joints[0, 2, 5], clip.joints[0, 1, 5])
    with pytest.raises(InputError, match="give --missing hold"):
        Recordings(path, missing="refuse").clip("v00")


def _without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda content: [fields.pop(name) for fields in content["annotations"]]


def _first(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda content: content["annotations"][0].update(changes)


def _frames_first(value: dict[str, Any]) -> None:
    first = value["annotations"][0]
    del first["total_frames"]
    first["keypoint"] = np.ones((40, 2, 17, 2), np.float32)
    first["keypoint_score"] = np.ones((40, 2, 17), np.float32)


def _split(**splits: list[str]) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.update(split=splits)


MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no annotations": (lambda content: content.clear(), "has no list of annotations"),
    "no keypoint": (_without("keypoint"), "annotation 0 lacks frame_dir, label or keypoint"),
    "label": (_first(label="walk"), "has the label walk, expected a whole number"),
    "negative": (_first(label=-1), "has the label -1"),
    "twice": (_first(frame_dir="v01"), "annotation 1: v01 occurs twice"),
    "no array": (_first(keypoint=[[1]]), "has keypoint list, expected an array of 4 axes"),
    "axes": (_first(keypoint=np.ones((5, 17, 2))), r"has keypoint \(5, 17, 2\), expected"),
    "infinite": (_first(keypoint=np.full((1, 6, 17, 2), np.inf)), "an infinite number"),
    "score": (_first(keypoint_score=np.ones((1, 9, 17))), r"keypoint_score of shape \(1, 9, 17\)"),
    "frames": (_first(total_frames=7), "has total_frames 7, but keypoint has 6"),
    "frames before bodies": (
        _frames_first,
        r"no total_frames, and keypoint of shape \(40, 2, 17, 2\) would be 40 bodies in 2 frames",
    ),
    "many frames": (_first(total_frames=np.ones(3)), "has total_frames"),
    "huge": (_first(keypoint=np.full((1, 6, 17, 2), 1e300)), "an infinite number"),
    "name": (_first(frame_dir=np.zeros(3)), "has a frame_dir of type _Array, not text"),
    "large label": (_first(label=10**9), "has the label 1000000000, expected less than 100000"),
    "two layouts": (
        lambda content: [
            fields.update(keypoint=np.ones((1, 6, 20, 3))) for fields in content["annotations"]
        ],
        "as kinect_v1_20, kinect_v1_20_utd: give --layout",
    ),
    "nobody": (_first(keypoint=np.zeros((1, 6, 17, 2))), "shows nobody"),
    "no split": (lambda content: content.pop("split"), "has no split, lists of clips"),
    "no pair": (_split(all=["v00"]), "has the splits all, expected pairs such as xsub_train"),
    "unknown": (_split(a_train=["x"], a_val=["v00"]), "has none of the 1 clips of a_train"),
    "both": (_split(a_train=["v00"], a_val=["v00"]), "v00 is both in a_train and in"),
    "layout": (
        lambda content: [
            fields.update(keypoint=np.ones((1, 6, 34, 3))) for fields in content["annotations"]
        ],
        "34 joints and 3 coordinates, as no built-in layout: give --layout",
    ),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistake_is_named(kind: str, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    spoil, message = MISTAKES[kind]
    content = annotations()
    spoil(content)
    path = write_annotations(tmp_path / "a.pkl", content)
    with pytest.raises(InputError, match=message) as caught:
        Recordings(path).clip("v00")
    assert path in str(caught.value) and "\n" not in str(caught.value)
    assert not recwarn.list


def test_clip_of_another_layout_is_refused(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "a.pkl")
    with pytest.raises(InputError, match=r"shape \(1, 6, 17, 2\), expected \(bodies, frames, 25"):
        Recordings(path, get_layout("kinect_v2_25")).clip("v00")


def test_classes_may_be_named(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "a.pkl")
    assert Recordings(path, classes=["walk", "run", "sit"]).class_names == ("walk", "run", "sit")
    for classes, message in ((["walk"], "labels up to 1, but 1 classes"), (["a", "a"], "twice")):
        with pytest.raises(InputError, match=message):
            Recordings(path, classes=classes)


def test_file_that_is_absent_or_no_pickle_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file at .*b\.pkl: expected an annotation file"):
        Recordings(str(tmp_path / "b.pkl"))
    (tmp_path / "b.pkl").write_bytes(os.urandom(100))
    with pytest.raises(InputError, match=r"b\.pkl cannot be read as a pickle"):
        Recordings(str(tmp_path / "b.pkl"))


def test_clips_without_split_or_annotation_are_told(tmp_path: Path) -> None:
    content = annotations()
    content["split"]["sub_train"].remove("v01")
    content["split"]["sub_val"] += ["gone1", "gone2"]
    notes = Recordings(write_annotations(tmp_path / "a.pkl", content)).notes
    assert notes[-2:] == (
        "2 clips of the splits have no annotation",
        "1 clips are in no split: no protocol uses them",
    )
