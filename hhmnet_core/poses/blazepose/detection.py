"""Decoding the detector's output into the regions of bodies.

After MediaPipe's `tensors_to_detections_calculator.cc` and `non_max_suppression_calculator.cc` with
the options of `pose_detection_cpu.pbtxt`. The box of a detection is that of the face; two of its
four points give the region of the body: the middle of the hips, and a point on the circle around
the body (Bazarevsky et al., 2020, section 2.2).

Axes: A anchors, D detections.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.poses.blazepose.anchors import SIZE, anchors_a2
from hhmnet_core.poses.boxes import overlaps
from hhmnet_core.skeleton.missing import Float32Array

MIN_SCORE = 0.5
MAX_OVERLAP = 0.3  # of two faces; detections that overlap more are one
SCORE_LIMIT = 100.0  # of the network's outputs
POINTS = 4


@dataclass(frozen=True)
class Detections:
    """Detected people, by falling score.

    Attributes:
        scores: (D,) scores, 0 to 1.
        boxes: (D, 4) left, top, right, bottom of the faces, in shares of the detector's image.
        points: (D, 4, 2) alignment points, likewise: middle of the hips, circle around the body,
            middle of the shoulders, circle around the upper body.
    """

    scores: Float32Array
    boxes: Float32Array
    points: Float32Array

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, numbers: NDArray[np.int64]) -> "Detections":
        """Return some of the detections."""
        return Detections(self.scores[numbers], self.boxes[numbers], self.points[numbers])


def decode(raw_boxes: Float32Array, raw_scores: Float32Array, min_score: float) -> Detections:
    """Decode the detector's tensors.

    Args:
        raw_boxes: (A, 12) centre, width and height of the face, and four points, in pixels of the
            detector's image from the anchor.
        raw_scores: (A,) logits of the scores.
        min_score: Smallest score of a detection.
    """
    clipped = np.clip(raw_scores.reshape(-1), -SCORE_LIMIT, SCORE_LIMIT)
    scores = (1 / (1 + np.exp(-clipped.astype(np.float64)))).astype(np.float32)
    chosen = np.flatnonzero(scores >= min_score)
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
    values = raw_boxes.reshape(-1, 4 + 2 * POINTS)[chosen] / np.float32(SIZE)
    anchors = anchors_a2()[chosen]
    centres, extents = values[:, :2] + anchors, values[:, 2:4]
    boxes = np.concatenate([centres - extents / 2, centres + extents / 2], -1)
    points = values[:, 4:].reshape(-1, POINTS, 2) + anchors[:, None]
    return Detections(scores[chosen], boxes, points)


def merge(detections: Detections) -> Detections:
    """Merge detections of one person: weighted non-maximum suppression.

    The best remaining detection takes all that overlap it by more than 0.3; box and points become
    their mean, weighted by score (Bazarevsky et al., BlazeFace, 2019, section 3.4).
    """
    boxes, left = detections.boxes.astype(np.float64), np.arange(len(detections))
    merged_boxes, merged_points, best = [], [], []
    while len(left):
        same = overlaps(boxes[left[:1]], boxes[left])[0] > MAX_OVERLAP
        same[0] = True
        group = detections.take(left[same])
        weights = group.scores / group.scores.sum()
        merged_boxes.append(weights @ group.boxes)
        merged_points.append(np.tensordot(weights, group.points, 1))
        best.append(left[0])
        left = left[~same]
    if not best:
        return detections
    return Detections(
        detections.scores[best],
        np.stack(merged_boxes).astype(np.float32),
        np.stack(merged_points).astype(np.float32),
    )
