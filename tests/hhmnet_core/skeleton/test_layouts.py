"""Layouts are trees, their body parts cover the joints, their mirrors are involutions."""

from dataclasses import replace

import pytest
import torch

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import (
    LAYOUTS,
    PARTS,
    Layout,
    get_layout,
    mirror_name,
    mirror_partners,
)

layouts = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


@layouts
def test_bones_form_a_tree_rooted_at_the_centre(layout: Layout) -> None:
    assert len(layout.bones) == layout.num_joints - 1
    assert sorted(child for child, _ in layout.bones) == sorted(
        set(range(layout.num_joints)) - {layout.centre}
    )
    for joint in range(layout.num_joints):
        for _ in range(layout.num_joints):
            joint = layout.parents[joint]
        assert joint == layout.centre


@layouts
def test_hops_equal_steps_along_the_tree(layout: Layout) -> None:
    def to_root(joint: int) -> list[int]:
        path = [joint]
        while path[-1] != layout.centre:
            path.append(layout.parents[path[-1]])
        return path

    for one in range(layout.num_joints):
        for other in range(layout.num_joints):
            a, b = to_root(one), to_root(other)
            shared = len(set(a) & set(b))
            assert layout.hops[one, other] == len(a) + len(b) - 2 * shared


@layouts
def test_body_parts_divide_the_joints_and_mirror_onto_each_other(layout: Layout) -> None:
    assert tuple(layout.parts) == PARTS
    assert sorted(sum(layout.parts.values(), ())) == list(range(layout.num_joints))
    for part, joints in layout.parts.items():
        side = part.replace("left", "L").replace("right", "left").replace("L", "right")
        assert {layout.mirror[joint] for joint in joints} == set(layout.parts[side])


@layouts
def test_mirror_is_an_involution_that_keeps_bones(layout: Layout) -> None:
    assert [layout.mirror[joint] for joint in layout.mirror] == list(range(layout.num_joints))
    mirrored = {(layout.mirror[child], layout.mirror[parent]) for child, parent in layout.bones}
    assert mirrored == set(layout.bones)


def test_permuted_layout_names_the_same_bones() -> None:
    layout = get_layout("kinect_v2_25")
    order = tuple(torch.randperm(25).tolist())
    other = layout.permuted(order)
    names = {(layout.joints[c], layout.joints[p]) for c, p in layout.bones}
    assert {(other.joints[c], other.joints[p]) for c, p in other.bones} == names
    assert torch.equal(other.hops, layout.hops[list(order)][:, list(order)])


def test_joint_is_found_by_its_name() -> None:
    layout = get_layout("kinect_v2_25")
    assert (layout.num_joints, layout.joint("spine_shoulder")) == (25, layout.centre)
    with pytest.raises(InputError, match=r"kinect_v2_25 has no joint 'tail'; it has spine_base,"):
        layout.joint("tail")


def test_partners_are_the_same_names_on_the_other_side() -> None:
    assert mirror_partners(("nose", "right_eye", "left_eye")) == (0, 2, 1)
    assert [mirror_name(name) for name in ("nose", "left_hand_tip")] == ["nose", "right_hand_tip"]
    with pytest.raises(ValueError):
        mirror_partners(("nose", "left_eye"))


def test_unknown_layout_lists_the_known() -> None:
    with pytest.raises(InputError, match=r"'kinect_v3'.*kinect_v1_20, kinect_v2_25, coco_17"):
        get_layout("kinect_v3")


def test_check_names_both_shapes() -> None:
    with pytest.raises(
        InputError, match=r"A clip has 25 joints of 3 .* kinect_v1_20 has 20 joints"
    ):
        get_layout("kinect_v1_20").check(25, 3, "A clip")


SPELLINGS = {
    "left_wrist": "right_wrist", "LWrist": "RWrist", "RHip": "LHip", "l_wrist": "r_wrist",
    "SHOULDER_LEFT": "SHOULDER_RIGHT", "wristLeft": "wristRight", "LeftWrist": "RightWrist",
    "Left Wrist": "Right Wrist", "leftwrist": "rightwrist", "rig:LeftArm": "rig:RightArm",
    "wrist_l": "wrist_r", "wrist.R": "wrist.L", "kneeL": "kneeR", "lShldr": "rShldr",
    "L-Wrist": "R-Wrist", "R Knee": "L Knee",
    "nose": "nose", "neck": "neck", "LowerBack": "LowerBack", "Ribs": "Ribs", "pelvis": "pelvis",
    "lumbar": "lumbar", "upper_right_arm": "upper_left_arm", "bright": "bright", "L5": "L5",
}  # fmt: skip


@pytest.mark.parametrize("joint", SPELLINGS)
def test_usual_spellings_of_sides_are_known(joint: str) -> None:
    assert mirror_name(joint) == SPELLINGS[joint]
    assert mirror_name(SPELLINGS[joint]) == joint


def test_partners_and_layouts_without_sides() -> None:
    assert mirror_partners(("Nose", "LHip", "RHip")) == (0, 2, 1)
    assert get_layout("coco_17").has_sides
    alone = replace(get_layout("coco_17"), mirror=tuple(range(17)))
    assert not alone.has_sides
