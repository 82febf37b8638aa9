"""Rows of JSON values are predicted as the clips that they hold."""

import base64
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from random_models import CLASSES, random_clips, write_random_model

from hhmnet_core.deploy.folders import read_description, read_weights
from hhmnet_core.deploy.model import Model, load_model
from hhmnet_core.deploy.pyfunc import RowModel, _load_pyfunc, columns_of, example_row
from hhmnet_core.errors import InputError
from hhmnet_core.inputs.footage import Footage
from hhmnet_core.store.clips import Clip, ClipSet, Video

Row = dict[str, Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_random_model(tmp_path_factory.mktemp("made") / "model")


def columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Return rows as columns, after a way through JSON."""
    read = json.loads(json.dumps(rows))
    return {name: [row[name] for row in read] for name in read[0]}


def filmed_clips(clips: ClipSet, footage: Footage, number: int = 3) -> list[Clip]:
    chosen = []
    for at in np.flatnonzero(footage.has_video_n)[:number]:
        clip = clips.clip(int(at))
        images = tuple(bytes(image.as_py()) for image in footage.files[int(at)].values)
        joints = footage.joints_nmfv2[at, : len(clip.joints)]
        chosen.append(replace(clip, video=Video(images, footage.positions_nf[at], joints)))
    return chosen


def filmed_row(clip: Clip) -> Row:
    assert clip.video is not None
    unknown = np.isnan(clip.video.joints)
    return {
        "joints": clip.joints.tolist(),
        "images": [base64.b64encode(image).decode() for image in clip.video.images],
        "positions": clip.video.positions.tolist(),
        "image_joints": np.where(unknown, None, clip.video.joints).tolist(),
    }


def test_rows_have_the_probabilities_of_their_clips(made: str) -> None:
    clips = random_clips()
    expected = load_model(made).predict(clips)
    found = _load_pyfunc(made).predict(columns([{"joints": clip.tolist()} for clip in clips]))
    assert [[*each["probabilities"].values()] for each in found] == expected.tolist()
    assert all([*each["probabilities"]] == [*CLASSES] for each in found)
    assert [each["confidence"] for each in found] == expected.max(1).tolist()
    assert [each["label"] for each in found] == [CLASSES[at] for at in expected.argmax(1)]
    json.dumps(found)


def test_null_is_refused_as_nan_is(made: str) -> None:
    (clip,) = random_clips(1)
    clip[0, 3, 7] = np.nan
    rows = [{"joints": np.where(np.isnan(clip), None, clip).tolist()}]
    with pytest.raises(InputError) as expected:
        load_model(made).predict([clip])
    with pytest.raises(InputError) as found:
        _load_pyfunc(made).predict(columns(rows))
    assert str(found.value) == str(expected.value)


@pytest.mark.parametrize("threshold", [0.0, 1.0, None])
def test_predictions_below_the_threshold_are_unsure(made: str, threshold: float | None) -> None:
    described = replace(read_description(made), threshold=threshold)
    model = RowModel(Model(described, read_weights(made, described)))
    (found,) = model.predict({"joints": [random_clips(1)[0]]})
    assert found["unsure"] is (None if threshold is None else threshold == 1.0)


def test_videos_travel_in_base64(video_model: str, clips: ClipSet, footage: Footage) -> None:
    chosen = filmed_clips(clips, footage)
    expected = load_model(video_model).predict(chosen)
    found = _load_pyfunc(video_model).predict(columns([filmed_row(clip) for clip in chosen]))
    assert [[*each["probabilities"].values()] for each in found] == expected.tolist()


def test_examples_can_be_read(made: str, video_model: str) -> None:
    for folder in (made, video_model):
        described = read_description(folder)
        row = example_row(described)
        assert tuple(row) == columns_of(described)
        (found,) = _load_pyfunc(folder).predict(columns([row]))
        assert sum(found["probabilities"].values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("joints", "refusal"),
    [
        ([[[1.0, 2.0], [3.0]]], "The joints of clip 0 are no array of numbers"),
        ([[["left", 0, 0]] * 20], "The joints of clip 0 are no array of numbers"),
        ({"x": 1}, "The joints of clip 0 are no array of numbers"),
        (None, r"Clip 0 is an array of shape \(\)"),
        ([[[0.0, 1.0, 2.0]] * 3], "Clip 0 has 3 joints"),
    ],
)
def test_other_values_than_joints_are_refused(made: str, joints: object, refusal: str) -> None:
    with pytest.raises(InputError, match=refusal):
        _load_pyfunc(made).predict({"joints": [joints]})


def test_arrays_of_arrays_are_nested_lists(made: str) -> None:
    """MLflow makes such arrays of lists in `inputs`."""
    (clip,) = random_clips(1)
    frames = [np.array([*body.tolist(), None], dtype=object)[:-1] for body in clip]  # of lists
    nested = np.empty(len(frames), dtype=object)
    nested[:] = frames
    found = _load_pyfunc(made).predict({"joints": [nested]})
    assert found == _load_pyfunc(made).predict({"joints": [clip]})


def test_missing_columns_are_named(made: str, video_model: str) -> None:
    with pytest.raises(InputError, match="has no joints, but the model toy-phase1-1 reads joints"):
        _load_pyfunc(made).predict({"skeleton": [0]})
    with pytest.raises(InputError, match="has no images and no positions and no image_joints"):
        _load_pyfunc(video_model).predict({"joints": [0]})


@pytest.mark.parametrize("image", ["no base64!", base64.b64encode(b"no image").decode(), 3])
def test_other_values_than_images_are_refused(
    image: object, video_model: str, clips: ClipSet, footage: Footage
) -> None:
    row = filmed_row(*filmed_clips(clips, footage, 1))
    row["images"][1] = image
    with pytest.raises(InputError, match="The images of clip 0 hold something that is no JPEG"):
        _load_pyfunc(video_model).predict({name: [value] for name, value in row.items()})


def test_images_of_another_size_are_refused(
    video_model: str, clips: ClipSet, footage: Footage, tmp_path: Path
) -> None:
    row = filmed_row(*filmed_clips(clips, footage, 1))
    Image.new("RGB", (40, 32)).save(tmp_path / "wide.jpg")
    row["images"][0] = base64.b64encode((tmp_path / "wide.jpg").read_bytes()).decode()
    with pytest.raises(InputError, match="are 40 x 32 pixels, but the model reads 4 of 32 x 32"):
        _load_pyfunc(video_model).predict({name: [value] for name, value in row.items()})


def test_a_moved_folder_is_loaded(made: str, tmp_path: Path) -> None:
    moved = shutil.copytree(made, tmp_path / "elsewhere")
    row = {"joints": [random_clips(1)[0]]}
    assert _load_pyfunc(str(moved)).predict(row) == _load_pyfunc(made).predict(row)
