"""Detections against closed forms, and merging against a plain loop."""

import numpy as np
import pytest

from hhmnet_core.poses.blazepose.anchors import anchors_a2
from hhmnet_core.poses.blazepose.detection import Detections, decode, merge


def raw(**scores: float) -> tuple[np.ndarray, np.ndarray]:
    boxes, logits = np.zeros((2254, 12), np.float32), np.full(2254, -200, np.float32)
    for name, score in scores.items():
        logits[int(name[1:])] = np.log(score / (1 - score))
    return boxes, logits


def test_boxes_and_points_are_relative_to_their_anchor() -> None:
    boxes, logits = raw(a7=0.8, a2000=0.9, a5=0.3)
    boxes[7] = [22.4, 0, 44.8, 22.4, 0, 0, 0, -112, 11.2, 0, 0, 0]
    found = decode(boxes, logits, 0.5)
    np.testing.assert_allclose(found.scores, [0.9, 0.8], atol=1e-6)
    x, y = anchors_a2()[7]
    np.testing.assert_allclose(found.boxes[1], [x, y - 0.05, x + 0.2, y + 0.05], atol=1e-6)
    np.testing.assert_allclose(
        found.points[1], [[x, y], [x, y - 0.5], [x + 0.05, y], [x, y]], atol=1e-6
    )
    assert len(decode(boxes, np.full_like(logits, -1e30), 0.5)) == 0
    assert decode(boxes, np.full_like(logits, 1e30), 0.5).scores.min() == 1


def share(a: np.ndarray, b: np.ndarray) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]))
    return width * height / (both - width * height)


def merge_by_a_loop(found: Detections) -> list[tuple[float, np.ndarray, np.ndarray]]:
    left, merged = list(range(len(found))), []
    while left:
        best = left[0]
        group = [i for i in left if share(found.boxes[best], found.boxes[i]) > 0.3]
        total = sum(float(found.scores[i]) for i in group)
        box = sum(found.scores[i] * found.boxes[i] for i in group) / total
        points = sum(found.scores[i] * found.points[i] for i in group) / total
        merged.append((float(found.scores[best]), box, points))
        left = [i for i in left if i not in group]
    return merged


@pytest.mark.parametrize("seed", range(5))
def test_merging_equals_a_loop(seed: int) -> None:
    random = np.random.default_rng(seed)
    corner = random.uniform(0, 0.6, (25, 2))
    boxes = np.concatenate([corner, corner + random.uniform(0.1, 0.4, (25, 2))], -1)
    scores = np.sort(random.uniform(0.5, 1, 25))[::-1]
    found = Detections(
        scores.astype(np.float32),
        boxes.astype(np.float32),
        random.uniform(0, 1, (25, 4, 2)).astype(np.float32),
    )
    merged, expected = merge(found), merge_by_a_loop(found)
    assert len(merged) == len(expected) < 25
    for number, (score, box, points) in enumerate(expected):
        assert merged.scores[number] == np.float32(score)
        np.testing.assert_allclose(merged.boxes[number], box, atol=1e-6)
        np.testing.assert_allclose(merged.points[number], points, atol=1e-6)


def test_nothing_is_merged_to_nothing() -> None:
    assert len(merge(decode(*raw(), 0.5))) == 0
