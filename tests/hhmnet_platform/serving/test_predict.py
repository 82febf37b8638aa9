"""Predictions of files, lists, folders and stores equal those of the model itself."""

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from random_networks import random_network, write_random_model

from hhmnet_core.deploy.model import Model, load_model
from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layout_maps import map_joints
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.store.clips import ClipSet
from hhmnet_platform.serving.job import PredictJob
from hhmnet_platform.serving.predict import run_predict
from hhmnet_platform.serving.predictions import Prediction
from hhmnet_platform.serving.recognition import parse_duration


@pytest.fixture(scope="module")
def loaded(model: str) -> Model:
    return load_model(model)


@pytest.fixture
def recordings(clips: ClipSet, tmp_path: Path) -> Path:
    """Six clips as files in a folder."""
    folder = tmp_path / "recordings"
    (folder / "deep").mkdir(parents=True)
    for number in range(6):
        place = folder / ("deep" if number > 3 else "")
        np.save(place / f"clip{number}.npy", clips.clip(number).joints)
    return folder


def rows_of(out: Path) -> list[dict[str, object]]:
    return pq.read_table(out).to_pylist()


def predict(model: str, given: Path, tmp_path: Path, **options: object) -> list[dict[str, object]]:
    out = tmp_path / "out.parquet"
    run_predict(
        PredictJob(model=model, input=str(given), out=str(out), **{"overwrite": True} | options)
    )  # type: ignore[arg-type]
    return rows_of(out)


def expected_of(loaded: Model, clips: ClipSet, numbers: list[int]) -> np.ndarray:
    return loaded.predict([clips.clip(number) for number in numbers])


def test_a_folder(
    model: str, loaded: Model, clips: ClipSet, recordings: Path, tmp_path: Path
) -> None:
    rows = predict(model, recordings, tmp_path)
    names = ["clip0.npy", "clip1.npy", "clip2.npy", "clip3.npy", "deep/clip4.npy", "deep/clip5.npy"]
    assert [row["input"] for row in rows] == names
    expected = expected_of(loaded, clips, [*range(6)])
    found = np.array([row["probabilities"] for row in rows])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    for row, probabilities in zip(rows, expected, strict=True):
        assert row["predicted"] == loaded.class_names[probabilities.argmax()]
        assert row["confidence"] == pytest.approx(probabilities.max(), abs=1e-6)
        assert row["reason"] == ""


def test_a_store(model: str, loaded: Model, clips: ClipSet, store: Path, tmp_path: Path) -> None:
    rows = predict(model, store, tmp_path)
    assert [row["input"] for row in rows] == [str(name) for name in clips.sample_ids]
    found = np.array([row["probabilities"] for row in rows])
    expected = expected_of(loaded, clips, [*range(len(clips))])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_a_list_names_its_files_and_their_rates(
    model: str, loaded: Model, clips: ClipSet, recordings: Path, tmp_path: Path
) -> None:
    lines = "skeleton,sample_id,fps\nclip3.npy,third,10\ndeep/clip4.npy,fourth,\n"
    (recordings / "list.csv").write_text(lines)
    rows = predict(model, recordings / "list.csv", tmp_path)
    assert [row["input"] for row in rows] == ["third", "fourth"]
    expected = expected_of(loaded, clips, [3, 4])
    found = np.array([row["probabilities"] for row in rows])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_files_that_cannot_be_read_are_rows_with_a_reason(
    model: str, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (recordings / "bad.npy").write_bytes(b"text")
    np.save(recordings / "empty.npy", np.zeros((4, 20, 3)))
    (recordings / "notes.txt").write_text("not a recording")
    rows = {row["input"]: row for row in predict(model, recordings, tmp_path)}
    assert len(rows) == 8
    assert "cannot be read" in str(rows["bad.npy"]["reason"])
    assert "shows nobody" in str(rows["empty.npy"]["reason"])
    assert rows["bad.npy"]["predicted"] is None and rows["bad.npy"]["probabilities"] is None
    assert "2 recordings have no prediction" in capsys.readouterr().out


def test_a_file_in_another_unit_is_a_row_with_a_reason(tmp_path: Path) -> None:
    network, tensors = random_network("joint")
    model = write_random_model(tmp_path / "model", [(network, tensors)])
    folder = tmp_path / "recordings"
    folder.mkdir()
    metres = np.tile(tensors["input_mean"].numpy() + 1, (12, 1, 1))
    np.save(folder / "metres.npy", metres)
    np.save(folder / "millimetres.npy", 1000 * metres)
    right, wrong = predict(str(model), folder, tmp_path)
    assert right["reason"] == "" and "give them in the unit of the training" in str(wrong["reason"])


def test_axes_that_may_be_in_another_order_are_asked_for_once(
    model: str, recordings: Path, tmp_path: Path
) -> None:
    np.save(recordings / "odd.npy", np.ones((3, 20, 3)))
    with pytest.raises(InputError, match=r"^odd.npy has the shape .* Give --axes"):
        predict(model, recordings, tmp_path)
    assert len(predict(model, recordings, tmp_path, axes="TVC")) == 7


def test_where_nothing_can_be_predicted_the_command_fails(model: str, tmp_path: Path) -> None:
    (tmp_path / "bad.npy").write_bytes(b"text")
    with pytest.raises(InputError, match=r"No recording of .* predicted: .*cannot be read"):
        predict(model, tmp_path / "bad.npy", tmp_path)


def test_another_layout_is_converted_or_refused_by_name(
    model: str, loaded: Model, clips: ClipSet, tmp_path: Path
) -> None:
    joints = clips.clip(0).joints
    other = map_joints(joints, "kinect_v1_20", "kinect_v1_20_utd")
    np.save(tmp_path / "clip.npy", other)
    rows = predict(model, tmp_path / "clip.npy", tmp_path, layout="kinect_v1_20_utd")
    expected = expected_of(loaded, clips, [0])[0]
    np.testing.assert_allclose(np.array(rows[0]["probabilities"]), expected, rtol=0, atol=1e-6)
    np.save(tmp_path / "coco.npy", np.zeros((3, 17, 2)))
    with pytest.raises(InputError, match="There is no map from layout coco_17 to kinect_v1_20"):
        predict(model, tmp_path / "coco.npy", tmp_path, layout="coco_17")


def test_a_long_recording_becomes_a_timeline(
    model: str, loaded: Model, clips: ClipSet, tmp_path: Path
) -> None:
    joints = np.concatenate([clips.clip(n).joints[0] for n in range(4)])
    np.save(tmp_path / "long.npy", joints)
    rows = predict(
        model, tmp_path / "long.npy", tmp_path,
        window="1s", stride="0.4s", fps=10.0, threshold=0.0,
    )  # fmt: skip
    assert rows[0]["start"] == 0 and rows[-1]["stop"] == pytest.approx(len(joints) / 10)
    for one, two in itertools.pairwise(rows):
        assert one["stop"] == two["start"] and one["predicted"] != two["predicted"]
    whole = predict(
        model, tmp_path / "long.npy", tmp_path,
        window=f"{len(joints)}f", threshold=1.0,
    )  # fmt: skip
    assert len(whole) == 1 and whole[0]["action"] == "unsure"
    expected = loaded.predict([joints])[0]
    np.testing.assert_allclose(np.array(whole[0]["probabilities"]), expected, rtol=0, atol=1e-6)


def test_a_part_of_a_recording_without_people_is_nobody(
    model: str, clips: ClipSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = clips.clip(0).joints[0]
    np.save(tmp_path / "long.npy", np.concatenate([one, np.zeros((20, *one.shape[1:])), one]))
    for ending in (".parquet", ".csv", ".json"):
        job = PredictJob(
            model=model, input=str(tmp_path / "long.npy"), out=str(tmp_path / f"out{ending}"),
            window="0.8s", stride="0.4s", fps=10.0, threshold=0.0, missing="interpolate",
            render=str(tmp_path / f"{ending[1:]}.mp4"),
        )  # fmt: skip
        run_predict(job)
    rows = rows_of(tmp_path / "out.parquet")
    (empty,) = [row for row in rows if row["action"] == "nobody"]
    assert empty["start"] == pytest.approx(len(one) / 10)
    assert empty["stop"] == pytest.approx(len(one) / 10 + 2)
    assert empty["predicted"] is None and empty["probabilities"] is None
    assert empty["reason"] == "" and empty["confidence"] is None
    assert all(row["predicted"] for row in rows if row is not empty)
    assert "nobody" in capsys.readouterr().out
    # Shorter than half a second: nobody is missed.
    np.save(tmp_path / "short.npy", np.concatenate([one, np.zeros((4, *one.shape[1:])), one]))
    short = predict(
        model, tmp_path / "short.npy", tmp_path,
        window="0.8s", stride="0.4s", fps=10.0, threshold=0.0, missing="interpolate",
    )  # fmt: skip
    assert all(row["action"] != "nobody" for row in short)


def test_the_kinds_of_files_hold_the_same(model: str, recordings: Path, tmp_path: Path) -> None:
    outs = {kind: tmp_path / f"out.{kind}" for kind in ("parquet", "csv", "json")}
    for out in outs.values():
        run_predict(PredictJob(model=model, input=str(recordings), out=str(out)))
    table = rows_of(outs["parquet"])
    names = json.loads(pq.read_schema(outs["parquet"]).metadata[b"hhmnet.class_names"])
    listed = json.loads(outs["json"].read_text())
    with outs["csv"].open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(table) == len(listed) == len(lines) == 6
    for row, record, line in zip(table, listed, lines, strict=True):
        assert row["input"] == record["input"] == line["input"]
        assert row["action"] == record["action"] == line["action"]
        shares = [float(line[f"p({name})"]) for name in names]
        assert [record["probabilities"][name] for name in names] == shares
        np.testing.assert_allclose(row["probabilities"], shares, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "fps", "frames"),
    [("2s", 30, 60), ("2", 30, 60), ("0.5s", 25, 12), ("7f", None, 7), (".01s", 10, 1)],
)
def test_durations(text: str, fps: float | None, frames: int) -> None:
    assert parse_duration(text, fps, "--window") == frames


@pytest.mark.parametrize(
    "text", ["9" * 400, "1" + "0" * 12 + "f", "", "s", "2m", "-1s", "0s", "1e9", "2 s", "nan"]
)
def test_texts_that_are_no_durations(text: str) -> None:
    with pytest.raises(InputError, match="--window is"):
        parse_duration(text, 30, "--window")


def test_seconds_need_a_frame_rate() -> None:
    with pytest.raises(InputError, match="give --fps"):
        parse_duration("2s", None, "--window")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input": ""}, "--input is missing"),
        ({"out": "out.txt"}, "is no .parquet, .csv, .json"),
        ({"window": "2s"}, "holds clips of one action"),
        ({"model": ""}, "--model is missing"),
        ({"model": "nobody"}, "There is no model nobody"),
    ],
)
def test_options_that_cannot_be(
    options: dict[str, str], message: str, model: str, store: Path, tmp_path: Path
) -> None:
    values = {"model": model, "input": str(store), "workspace": str(tmp_path)} | options
    with pytest.raises(InputError, match=message):
        run_predict(PredictJob(**values))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{"threshold": 1.5}, {"batch": 0}, {"stride": "1s"}, {"threshold": float("nan")}]
)
def test_values_out_of_range(options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        PredictJob(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("video\na.npy\n", "line 2: 'a.npy' is no .mp4"),
        ("skeleton,video\na.npy,a.mp4\n", "expected either skeleton or video"),
        ("skeleton\na.txt\n", "line 2: 'a.txt' is no"),
        ("skeleton\n", "lists no recordings"),
        ("", "has the columns none"),
        ("skeleton\na.npy\na.npy\n", "a.npy is in the list twice"),
        ("skeleton,fps\na.npy,fast\n", "fps is 'fast'"),
        ("skeleton,fps\na.npy,nan\n", "fps is 'nan'"),
    ],
)
def test_lists_that_cannot_be_used(content: str, message: str, model: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        predict(model, tmp_path / "list.csv", tmp_path)


def test_layouts_stay_what_they_are() -> None:
    assert get_layout("kinect_v1_20_utd").joints[0] == "head"
    assert Prediction("a", predicted="wave", unsure=True).action == "unsure"


@pytest.mark.parametrize("fps", [None, 10.0])
def test_times_count_from_the_start_of_the_file(
    fps: float | None, model: str, clips: ClipSet, tmp_path: Path
) -> None:
    joints = np.concatenate([clips.clip(n).joints[0] for n in range(3)])
    late = np.concatenate([np.zeros((20, *joints.shape[1:]), np.float32), joints])
    np.save(tmp_path / "late.npy", late)
    rows = predict(model, tmp_path / "late.npy", tmp_path, window="9f", fps=fps, threshold=0.0)
    assert rows[0]["start"] == pytest.approx(20 / (fps or 1))
    assert rows[-1]["stop"] == pytest.approx(len(late) / (fps or 1))
    for row in rows:
        assert row["confidence"] == pytest.approx(max(row["probabilities"]))  # type: ignore[call-overload]


def test_numbers_beyond_what_the_networks_can_compute_are_no_prediction(
    model: str, loaded: Model, clips: ClipSet, recordings: Path, tmp_path: Path
) -> None:
    big = np.full_like(clips.clip(0).joints, 3e38)
    big[..., ::2, :] *= -1
    big[..., 0] *= 0.9  # else it would be the mark of a lost joint
    np.save(recordings / "big.npy", big)
    rows = {row["input"]: row for row in predict(model, recordings, tmp_path)}
    assert "scores are not finite" in str(rows["big.npy"]["reason"])
    assert rows["big.npy"]["confidence"] is None
    assert all(row["reason"] == "" for name, row in rows.items() if name != "big.npy")
    with pytest.raises(InputError, match="Clip 1: its scores are not finite"):
        loaded.predict([clips.clip(0), big])


def test_files_are_replaced_only_where_that_is_asked_for(
    model: str, recordings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine.csv"
    out.write_text("my own list")
    job = {"model": model, "input": str(recordings), "out": str(out)}
    with pytest.raises(InputError, match=r"--out .*mine\.csv exists: give another name"):
        run_predict(PredictJob(**job))  # type: ignore[arg-type]
    assert out.read_text() == "my own list"
    run_predict(PredictJob(**job, overwrite=True))  # type: ignore[arg-type]
    assert "predicted" in out.read_text()


def test_control_characters_do_not_reach_the_terminal(
    model: str, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (recordings / "clip0.npy").rename(recordings / "\x1b[31mred.npy")
    predict(model, recordings, tmp_path)
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["=1+1.npy", "+a.npy", "-a.npy", "@SUM(A1).npy"])
def test_a_csv_holds_no_formula(model: str, recordings: Path, tmp_path: Path, name: str) -> None:
    (recordings / "clip3.npy").rename(tmp_path / name)
    out = {kind: tmp_path / f"out.{kind}" for kind in ("csv", "json")}
    for each in out.values():
        run_predict(PredictJob(model=model, input=str(tmp_path / name), out=str(each)))
    with out["csv"].open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["input"] == f"'{name}"
    assert float(row["confidence"]) > 0
    assert json.loads(out["json"].read_text())[0]["input"] == name
