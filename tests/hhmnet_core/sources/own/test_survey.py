"""What skeleton files have in common."""

import numpy as np
import pytest

from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.skeleton.missing import known_joints
from hhmnet_core.sources.own.survey import (
    Measured,
    always_zero,
    bone_length,
    common_origin,
    first_pose,
    measure,
    size_ratio,
)

COCO = get_layout("coco_17")


def test_bone_length_is_the_mean_of_known_bones() -> None:
    random = np.random.default_rng(0)
    joints = random.normal(size=(1, 5, 17, 2)).astype(np.float32)
    known = random.random((1, 5, 17)) < 0.7
    lengths = []
    for child, parent in COCO.bones:
        frames = [t for t in range(5) if known[0, t, child] and known[0, t, parent]]
        if frames:
            vectors = joints[0, frames, child] - joints[0, frames, parent]
            lengths.append(np.linalg.norm(vectors.astype(float), axis=1).mean())
    assert bone_length(joints, known, COCO) == pytest.approx(np.mean(lengths))
    assert bone_length(joints, np.zeros_like(known), COCO) is None


def test_zero_joints_and_origins_are_those_of_all_files() -> None:
    joints = np.ones((1, 4, 17, 2), np.float32)
    joints[:, :, 3] = joints[:, 1, 5] = 0
    joints[:, 0] = 0  # padding
    known = known_joints(joints)
    assert first_pose(known) == (0, 1) and first_pose(known & False) is None
    one = measure((4, 17, 2), joints, known, COCO)
    assert (one.zero, one.origin) == ({3}, {3, 5})
    other = Measured((4, 17, 2), frozenset({3, 7}), frozenset({5}), 1.0)
    assert always_zero([one, other], COCO) == {3}
    assert common_origin([one, other]) == {5} and common_origin([one]) == frozenset()
    every = frozenset(range(17))
    assert always_zero([Measured((1,), every, every, None)], COCO) == frozenset()


def test_ratio_is_that_of_medians() -> None:
    sizes = {"a": 1.0, "b": 1.2, "c": 3.0, "d": 3.6, "e": None}
    groups = {"a": "s1", "b": "s1", "c": "s2", "d": "s2", "e": "s3"}
    ratio, names = size_ratio(sizes, groups)
    assert ratio == pytest.approx(3.0) and names == "s2 and s1"
    assert size_ratio({"a": 1.0}, groups) == (1.0, "")
