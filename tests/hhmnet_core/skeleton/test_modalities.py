"""The four modalities against their definitions, joint by joint and frame by frame."""

import numpy as np
import pytest
import torch

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.skeleton.modalities import MODALITIES, Derivation

LAYOUT = get_layout("kinect_v1_20")
DERIVE = Derivation(LAYOUT)


def reference(joints: np.ndarray, modality: str) -> np.ndarray:
    out = joints.copy()
    if modality.startswith("bone"):
        for joint in range(20):
            out[:, :, :, joint] = joints[:, :, :, joint] - joints[:, :, :, LAYOUT.parents[joint]]
    if modality.endswith("motion"):
        still = out.copy()
        for frame in range(out.shape[2] - 1):
            out[:, :, frame] = still[:, :, frame + 1] - still[:, :, frame]
        out[:, :, -1] = 0
    return out


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("frames", [1, 7])
def test_modality_equals_its_definition(modality: str, frames: int) -> None:
    joints = torch.randn(2, 3, frames, 20, 2)
    derived = DERIVE(joints, modality)
    np.testing.assert_array_equal(derived.numpy(), reference(joints.numpy(), modality))


def test_bone_points_from_the_parent_to_the_child_and_motion_forward_in_time() -> None:
    joints = torch.zeros(1, 3, 3, 20, 1)
    joints[0, :, 1, LAYOUT.joint("head")] = torch.tensor([1.0, 2.0, 3.0])[:, None]
    bone = DERIVE.bones(joints)
    assert bone[0, :, 1, LAYOUT.joint("head"), 0].tolist() == [1, 2, 3]
    assert bone.count_nonzero() == 3  # the head is nobody's parent
    steps = DERIVE.motion(joints)[0, 0, :, LAYOUT.joint("head"), 0]
    assert steps.tolist() == [1, -1, 0]


@pytest.mark.parametrize("step", [1, 3, 6, 9])
def test_motion_spans_the_steps_up_to_the_last_frame(step: int) -> None:
    joints = torch.randn(2, 3, 7, 20, 2)
    for modality, still in (("joint_motion", joints), ("bone_motion", DERIVE.bones(joints))):
        moved = Derivation(LAYOUT, step)(joints, modality)
        for frame in range(7):
            expected = still[:, :, min(frame + step, 6)] - still[:, :, frame]
            assert torch.equal(moved[:, :, frame], expected)


def test_unknown_modality_is_named() -> None:
    with pytest.raises(InputError, match="'velocity'; known are joint, bone"):
        DERIVE(torch.zeros(1, 3, 4, 20, 1), "velocity")


def test_wrong_layout_is_named() -> None:
    with pytest.raises(InputError, match="25 joints of 3 channels, but layout kinect_v1_20"):
        DERIVE(torch.zeros(1, 3, 4, 25, 1), "bone")
