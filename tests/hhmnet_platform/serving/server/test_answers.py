"""Answers in JSON equal what predict.py computes of the same windows."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hhmnet_core.deploy.description import ModelDescription
from hhmnet_core.deploy.folders import read_description
from hhmnet_core.deploy.timeline import frame_probabilities
from hhmnet_platform.serving.recognition import timeline
from hhmnet_platform.serving.server.answers import Answers
from hhmnet_platform.serving.server.recordings import Drawing, ReadRecording

WINDOWS = ((0, 10), (5, 15), (10, 20), (13, 23))


@pytest.fixture(scope="module")
def description(model: str) -> ModelDescription:
    return read_description(model)


def recording(fps: float | None, first: int = 0) -> ReadRecording:
    pixels = np.zeros((1, 23, 20, 2), np.float32)
    return ReadRecording("a.mp4", (), WINDOWS, 23, fps, first, Drawing(pixels, None, 64, 48))


def test_a_timeline_is_that_of_predict_from_the_start_of_the_video(
    description: ModelDescription,
) -> None:
    rows = np.random.default_rng(1).dirichlet(np.ones(3), len(WINDOWS))
    values = Answers(description).recording(recording(10.0, first=7), rows, has_timeline=True)
    names = description.class_names
    expected = list(timeline("a.mp4", 23, 10.0, rows, WINDOWS, names, 0.0))
    assert len(values["timeline"]) == len(expected) > 1
    for line, prediction in zip(values["timeline"], expected, strict=True):
        assert prediction.start is not None and prediction.probabilities is not None
        assert line["start"] == pytest.approx(0.7 + prediction.start)
        assert line["label"] == prediction.predicted
        assert list(line["probabilities"].values()) == prediction.probabilities.tolist()
    frames = frame_probabilities(WINDOWS, rows, 23)
    found = [values["probabilities"][name] for name in names]
    np.testing.assert_allclose(found, frames.mean(0), rtol=0, atol=1e-12)
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["skeleton"]["windows"][1]["probabilities"] == rows[1].tolist()


def test_a_part_without_people_has_no_label(description: ModelDescription) -> None:
    rows = np.random.default_rng(1).dirichlet(np.ones(3), len(WINDOWS))
    read = replace(recording(10.0), empty=((8, 15),))
    timeline = Answers(description).recording(read, rows, has_timeline=True)["timeline"]
    (empty,) = [line for line in timeline if line["label"] is None]
    assert (empty["start"], empty["stop"]) == (0.8, 1.5)
    assert empty["confidence"] is None and empty["probabilities"] is None
    assert empty["unsure"] is False


@pytest.mark.parametrize(("confidence", "unsure"), [(0.59, True), (0.6, False), (0.61, False)])
def test_below_the_threshold_it_is_unsure(
    confidence: float, unsure: bool, description: ModelDescription
) -> None:
    answers = Answers(replace(description, threshold=0.6))
    rest = (1 - confidence) / 2
    assert answers.clip(np.array([rest, confidence, rest]))["unsure"] is unsure
    assert Answers(description).clip(np.array([0.3, 0.4, 0.3]))["unsure"] is False
