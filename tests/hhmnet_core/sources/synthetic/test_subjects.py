"""Subjects differ from one another; their idle motion differs between clips."""

import numpy as np

from hhmnet_core.sources.synthetic.figure import Body, Pose
from hhmnet_core.sources.synthetic.motion import Motion
from hhmnet_core.sources.synthetic.subjects import NUM_SUBJECTS, add_idle_motion, draw_subjects


def test_subjects_are_drawn_by_the_seed() -> None:
    one, again, other = (draw_subjects(np.random.default_rng(seed)) for seed in (1, 1, 2))
    for name, values in vars(one).items():
        assert len(values) == NUM_SUBJECTS
        np.testing.assert_array_equal(values, getattr(again, name))
    assert (one.tempo != other.tempo).all()


def test_subjects_span_the_range_of_people() -> None:
    subjects = draw_subjects(np.random.default_rng(1))
    np.testing.assert_allclose(sorted(subjects.height), np.linspace(1.5, 1.95, NUM_SUBJECTS))
    assert subjects.build.shape == (NUM_SUBJECTS, Body.num_bones())
    assert subjects.left_handed.sum() == 2


def idle(stoop: float) -> Pose:
    subjects = draw_subjects(np.random.default_rng(1))
    subjects.stoop[:] = stoop
    motion = Motion(
        random=np.random.default_rng(5),
        phase=np.tile(np.linspace(0, 1, 40), (3, 1)),
        vigour=np.ones((3, 1)),
        dominant=np.zeros(3, int),
    )
    pose = Pose.standing(3, 40)
    add_idle_motion(pose, motion, subjects, np.array([0, 1, 2]))
    return pose


def test_idle_people_sway_on_their_feet() -> None:
    pose, still = idle(0.0), Pose.standing(3, 40)
    assert (np.ptp(pose.turn, axis=1) > 0).all() and (np.ptp(pose.look, axis=1) > 0).all()
    drift = pose.feet[:, 1:] - pose.feet[:, :-1]
    np.testing.assert_allclose(drift[:, :, 0], drift[:, :, 1])  # both feet move together
    np.testing.assert_array_equal(pose.feet[..., 1], still.feet[..., 1])  # and stay on the floor
    assert np.abs(pose.hands - still.hands).max() < 2


def test_posture_is_the_subjects() -> None:
    np.testing.assert_allclose(idle(0.3).bend - idle(0.0).bend, 0.3)
