"""A figure whose bones keep their length, whatever the pose."""

import numpy as np

from hhmnet_core.sources.synthetic.figure import Body, Pose, about_axis, joint_positions


def test_bones_keep_their_length_whatever_the_pose() -> None:
    random = np.random.default_rng(3)
    body = Body.of_height(np.array([1.6, 1.9]), random.uniform(0.9, 1.1, (2, Body.num_bones())))
    pose = Pose.standing(2, 30)
    for name, value in vars(pose).items():
        setattr(pose, name, value + random.normal(0, 0.7, value.shape))
    joints = joint_positions(pose, body)
    assert np.isfinite(joints).all()
    fixed = ((0, 1), (1, 2), (2, 3), (4, 5), (5, 6), (6, 7), (12, 13), (13, 14), (14, 15))
    expected = ("waist", "back", "neck", "upper_arm", "forearm", "hand", "thigh", "shin", "foot")
    for (one, two), bone in zip(fixed, expected, strict=True):
        lengths = np.linalg.norm(joints[:, :, one] - joints[:, :, two], axis=-1)
        np.testing.assert_allclose(lengths, getattr(body, bone)[:, None] + np.zeros(30), rtol=2e-3)


def test_standing_figure_is_upright_symmetric_and_on_the_floor() -> None:
    height = 1.8
    body = Body.of_height(np.array([height]), np.ones((1, Body.num_bones())))
    joints = joint_positions(Pose.standing(1, 1), body)[0, 0]
    np.testing.assert_allclose(joints[:4, 0], 0, atol=1e-9)  # the spine
    np.testing.assert_allclose(joints[4:8], joints[8:12] * [-1, 1, 1], atol=1e-9)
    np.testing.assert_allclose(joints[12:16], joints[16:20] * [-1, 1, 1], atol=1e-9)
    assert (joints[4:8, 0] > 0).all()  # x points to the figure's left
    # Kinect's head joint is below the crown, its foot joint above the sole.
    assert 0.8 * height < joints[3, 1] < height and 0 < joints[15, 1] < 0.1 * height


def test_limb_points_at_a_target_out_of_reach() -> None:
    body = Body.of_height(np.array([1.7]), np.ones((1, Body.num_bones())))
    pose = Pose.standing(1, 1)
    pose.hands[..., 0, :] = (5.0, 0.0, 0.0)  # arm lengths to the left
    joints = joint_positions(pose, body)[0, 0]
    shoulder, elbow, wrist = joints[4], joints[5], joints[6]
    reach = np.linalg.norm(wrist - shoulder)
    np.testing.assert_allclose(reach, 0.995 * body.arm[0], rtol=1e-6)
    assert np.linalg.norm(np.cross(wrist - shoulder, elbow - shoulder)) < 0.15 * reach**2


def test_rotations_are_right_handed() -> None:
    quarter, axes = np.array(np.pi / 2), np.eye(3)
    for axis in range(3):
        first, second = axes[(axis + 1) % 3], axes[(axis + 2) % 3]
        np.testing.assert_allclose(about_axis(quarter, axis) @ first, second, atol=1e-12)
        np.testing.assert_allclose(about_axis(quarter, axis) @ axes[axis], axes[axis])
