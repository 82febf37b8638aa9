"""Models tested on stores: their own, of another order of joints, of other classes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_models import make_model
from made_stores import write_store
from random_networks import CLASSES, random_network, write_random_model

from hhmnet_core.deploy.model import load_model
from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layout_maps import map_joints
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.manifest import Protocol
from hhmnet_core.store.protocols import split_clips
from hhmnet_platform.serving.evaluate import (
    EvaluationData,
    EvaluationJob,
    evaluate,
    run_evaluation,
)
from hhmnet_platform.serving.job import PredictJob
from hhmnet_platform.serving.predict import run_predict


def evaluate_on(model: str, store: Path, **options: object) -> object:
    data = EvaluationData(str(store), split=options.pop("split", "all"))  # type: ignore[arg-type]
    return evaluate(EvaluationJob(model=model, data=data, **options))  # type: ignore[arg-type]


def write_other(
    clips: ClipSet, folder: Path, layout: str, names: tuple[str, ...], size: float = 1.0
) -> Path:
    """Write the clips as a store of another layout, other names of classes and another unit."""
    protocol = Protocol({"camera": [1]}, {"camera": [2]})
    changed = []
    for number in range(len(clips)):
        clip = clips.clip(number)
        joints = size * map_joints(clip.joints, "kinect_v1_20", layout)
        changed.append(replace(clip, joints=joints, missing=None))
    write_store(
        folder, changed, dataset="other", layout=layout, class_names=names,
        protocols={"cross-view": protocol}, source={},
    )  # fmt: skip
    return folder


def test_the_test_split_is_scored_as_by_the_model(
    model: str, store: Path, clips: ClipSet, tmp_path: Path
) -> None:
    out = tmp_path / "report.json"
    data = EvaluationData(str(store))
    run_evaluation(EvaluationJob(model=model, data=data, out=str(out)))
    written = json.loads(out.read_text())
    test = split_clips(clips, next(iter(clips.manifest.protocols)), "literature").test
    probabilities = load_model(model).predict([clips.clip(int(i)) for i in test])
    assert written["clips"] == len(test)
    correct = probabilities.argmax(1) == clips.labels[test]
    assert written["top1"] == pytest.approx(correct.mean())


def test_another_order_of_joints_changes_nothing(
    model: str, store: Path, clips: ClipSet, tmp_path: Path
) -> None:
    names = clips.manifest.class_names
    other = write_other(clips, tmp_path / "other", "kinect_v1_20_utd", names)
    first, second = evaluate_on(model, store), evaluate_on(model, other)
    assert first.confusion_matrix == second.confusion_matrix  # type: ignore[attr-defined]
    assert second.log_loss == pytest.approx(first.log_loss, abs=1e-6)  # type: ignore[attr-defined]


def test_clips_of_other_classes_are_left_out_and_counted(
    model: str, clips: ClipSet, tmp_path: Path
) -> None:
    names = clips.manifest.class_names
    other = write_other(clips, tmp_path / "other", "kinect_v1_20", ("new", names[1].upper(), "odd"))
    report = evaluate_on(model, other)
    per_class = np.bincount(clips.labels, minlength=3)
    assert report.clips == per_class[1]  # type: ignore[attr-defined]
    assert report.left_out == per_class[[0, 2]].sum()  # type: ignore[attr-defined]
    (tmp_path / "map.yaml").write_text(f"new: {names[0]}\nodd: {names[2]}\n")
    paired = evaluate_on(model, other, class_map=str(tmp_path / "map.yaml"))
    assert paired.clips == len(clips) and paired.left_out == 0  # type: ignore[attr-defined]


def test_what_cannot_be_tested_is_refused(
    model: str, clips: ClipSet, store: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"--data\.store is missing"):
        run_evaluation(EvaluationJob(model=model))
    with pytest.raises(InputError, match="no clip store"):
        evaluate_on(model, tmp_path)
    with pytest.raises(InputError, match="batch must be"):
        EvaluationJob(batch=0)
    other = write_other(clips, tmp_path / "other", "kinect_v1_20", ("x", "y", "z"))
    with pytest.raises(InputError, match="share no class name"):
        evaluate_on(model, other)


def test_a_store_in_another_unit_is_neither_tested_nor_predicted(
    clips: ClipSet, tmp_path: Path
) -> None:
    model = str(write_random_model(tmp_path / "model", [random_network("joint")]))
    metres = write_other(clips, tmp_path / "metres", "kinect_v1_20_utd", CLASSES)
    assert evaluate_on(model, metres).clips == len(clips)  # type: ignore[attr-defined]
    other = write_other(clips, tmp_path / "other", "kinect_v1_20_utd", CLASSES, size=1000)
    message = r"The clips of other: their joints lie .*: give them in the unit of the training data"
    with pytest.raises(InputError, match=message):
        evaluate_on(model, other)
    with pytest.raises(InputError, match=message):
        run_predict(PredictJob(model=model, input=str(other), out=str(tmp_path / "out.csv")))


def test_clips_that_the_model_was_trained_on_are_counted(
    clips: ClipSet, store: Path, tmp_path: Path
) -> None:
    name = next(iter(clips.manifest.protocols))
    model = make_model(clips, tmp_path, digest=clips.skeletons, protocol=name, selection="val")
    whole, test = evaluate_on(model, store), evaluate_on(model, store, split="test")
    split = split_clips(clips, name, "val")
    assert whole.trained_on == len(split.train) + len(split.val)  # type: ignore[attr-defined]
    assert test.trained_on == 0  # type: ignore[attr-defined]


def test_a_report_is_json_and_replaces_nothing(model: str, store: Path, tmp_path: Path) -> None:
    data = EvaluationData(str(store))
    (tmp_path / "report.json").write_text("mine")
    for out, message in (("report.csv", "is no .json"), ("report.json", "exists: give another")):
        with pytest.raises(InputError, match=message):
            run_evaluation(EvaluationJob(model=model, data=data, out=str(tmp_path / out)))
    assert (tmp_path / "report.json").read_text() == "mine"
