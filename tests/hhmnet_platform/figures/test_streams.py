"""Figures that compare skeleton, video and their fusion."""

from dataclasses import replace

import numpy as np
import pytest

from hhmnet_core.fusion.align import fuse
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.skeleton.layouts import PARTS
from hhmnet_platform.figures.streams import class_gains, part_similarity, side_by_side

NAMES = tuple(f"class {number}" for number in range(4))


def table(modality: str, seed: int) -> ScoreTable:
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), 10)  # the fourth class has no clips
    logits = random.normal(size=(30, 4)).astype(np.float32)
    logits[np.arange(30), labels] += 1
    ids = tuple(f"clip {number}" for number in range(30))
    return ScoreTable(ids, labels, logits, "run", modality, "test", "0" * 64, NAMES)


def test_confusions_are_drawn_side_by_side() -> None:
    tables = {"skeleton": table("joint", 1), "video": table("video", 2)}
    axes = [axis for axis in side_by_side(tables).axes if axis.images]
    assert [axis.get_title().split(",")[0] for axis in axes] == ["skeleton", "video"]
    for axis in axes:
        shares = np.asarray(axis.images[0].get_array())
        np.testing.assert_allclose(shares.sum(1), [100, 100, 100, 0])


def test_gains_are_sorted_and_agree_with_the_tables() -> None:
    skeleton, video = table("joint", 1), table("video", 2)
    fused = fuse([skeleton, video])
    (axis,) = class_gains(skeleton, video, fused).axes
    drawn = {line.get_label(): np.asarray(line.get_xdata()) for line in axis.lines}
    names = [label.get_text() for label in axis.get_yticklabels()]
    gains = (drawn["fusion"] - drawn["skeleton"])[:3]
    assert (np.diff(gains) <= 0).all() and names[3] == "class 3"
    row = names.index("class 1")
    correct = video.logits[10:20].argmax(1) == 1
    assert drawn["video"][row] == pytest.approx(correct.mean())
    unchanged = class_gains(skeleton, video, replace(skeleton, modality="fusion")).axes[0]
    assert len(unchanged.get_yticklabels()) == 4


def test_part_similarity_shows_what_was_measured() -> None:
    metrics = {f"similarity/{row}/{column}": 0.5 for row in PARTS for column in PARTS}
    metrics["similarity/head/left_leg"] = -0.25
    del metrics["similarity/torso/torso"]
    figure = part_similarity(metrics)
    assert figure is not None
    similarity = np.asarray(figure.axes[0].images[0].get_array())
    assert similarity[0, PARTS.index("left_leg")] == -0.25 and np.isnan(similarity[1, 1])
    assert part_similarity({"train/loss": 1.0}) is None
