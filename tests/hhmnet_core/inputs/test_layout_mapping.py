"""Clips in another layout."""

from dataclasses import replace

import numpy as np
import pytest
from made_stores import make_clips

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.layout_mapping import find_joint_map, map_clip, map_clip_set
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.manifest import Manifest

V1, UTD, V2 = map(get_layout, ("kinect_v1_20", "kinect_v1_20_utd", "kinect_v2_25"))


def test_one_order_of_joints_becomes_the_other_and_back() -> None:
    there, back = find_joint_map(V1, UTD), find_joint_map(UTD, V1)
    assert there and back
    for clip in make_clips(4):
        other = map_clip(clip, there)
        np.testing.assert_array_equal(
            other.joints[..., UTD.joint("left_hand"), :],
            clip.joints[..., V1.joint("left_hand"), :],
        )
        np.testing.assert_array_equal(map_clip(other, back).joints, clip.joints)


def test_absent_bodies_stay_absent_and_missing_marks_follow_their_joints() -> None:
    clip = make_clips(2)[1]
    clip.joints[1, :3] = 0
    missing = np.zeros(clip.joints.shape[:3], bool)
    missing[0, 2, V1.joint("spine")] = True
    found = find_joint_map(V1, V2)
    assert found
    mapped = map_clip(replace(clip, missing=missing), found)
    assert mapped.joints.shape == (*clip.joints.shape[:2], 25, 3)
    assert not mapped.joints[1, :3].any() and mapped.joints[1, 3:].any()
    assert mapped.missing is not None
    assert np.argwhere(mapped.missing).tolist() == [[0, 2, V2.joint("spine_mid")]]


def test_a_set_is_mapped_as_its_clips_are() -> None:
    clips = make_clips(6)
    manifest = Manifest(1, "made", "kinect_v1_20", ("a", "b", "c"), {}, {}, (), "", {})
    mapped = map_clip_set(ClipSet.of(manifest, clips), UTD)
    found = find_joint_map(V1, UTD)
    assert found and mapped.manifest.skeleton == UTD
    for number, clip in enumerate(clips):
        np.testing.assert_array_equal(mapped.clip(number).joints, map_clip(clip, found).joints)


def test_the_same_layout_needs_no_map() -> None:
    assert find_joint_map(V1, V1) is None


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("coco_17", "kinect_v1_20", "There is no map from layout coco_17 to kinect_v1_20"),
        ("blazepose_33", "coco_17", "3 coordinates, those of coco_17 2"),
    ],
)
def test_layouts_that_do_not_fit_are_refused(source: str, target: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_joint_map(get_layout(source), get_layout(target))
