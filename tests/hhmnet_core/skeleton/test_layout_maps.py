"""Maps between layouts: every joint has its sources, sides stay sides, lost joints stay lost."""

from pathlib import Path

import numpy as np
import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layout_maps import MAPS, LayoutMap, find_map, map_joints

DOCS = Path(__file__).parents[3] / "docs" / "data.md"
maps = pytest.mark.parametrize("mapping", MAPS.values(), ids=[" to ".join(pair) for pair in MAPS])


def joints_of(mapping: LayoutMap, channels: int = 3) -> np.ndarray:
    random = np.random.default_rng(3)
    return random.normal(size=(2, 4, mapping.source.num_joints, channels)).astype(np.float32)


@maps
def test_every_joint_is_the_mean_of_joints_of_the_source(mapping: LayoutMap) -> None:
    assert set(mapping.sources) == set(mapping.target.joints)
    assert mapping.guessed <= set(mapping.target.joints)
    given = joints_of(mapping)
    mapped = mapping.joints(given)
    assert mapped.shape == (2, 4, mapping.target.num_joints, 3) and mapped.dtype == np.float32
    for index, joint in enumerate(mapping.target.joints):
        names = [mapping.source.joint(name) for name in mapping.sources[joint]]
        np.testing.assert_allclose(mapped[..., index, :], given[..., names, :].mean(-2), atol=1e-6)


@maps
def test_mapping_and_mirroring_can_be_exchanged(mapping: LayoutMap) -> None:
    given = joints_of(mapping)
    flip = np.array([-1, 1, 1], np.float32)
    first = mapping.joints(given[..., mapping.source.mirror, :] * flip)
    last = mapping.joints(given)[..., mapping.target.mirror, :] * flip
    np.testing.assert_allclose(first, last, atol=1e-6)


@maps
def test_body_parts_stay_on_their_side(mapping: LayoutMap) -> None:
    for joint, sources in mapping.sources.items():
        sides = {name.split("_")[0] for name in sources} & {"left", "right"}
        side = {joint.split("_")[0]} & {"left", "right"}
        assert sides == side if side else len(sides) != 1


@pytest.mark.parametrize("mark", [np.nan, 0.0, -1.0])
def test_a_lost_joint_passes_its_mark_on(mark: float) -> None:
    mapping = find_map("blazepose_33", "kinect_v2_25")
    given = joints_of(mapping)
    given[1, 2, mapping.source.joint("left_ear")] = mark
    mapped = mapping.joints(given)
    whole = mapping.joints(joints_of(mapping))
    for joint in mapping.target.joints:
        at = (1, 2, mapping.target.joint(joint))
        expected = np.full(3, mark) if joint in ("head", "neck") else whole[at]
        np.testing.assert_array_equal(mapped[at], expected.astype(np.float32))
    np.testing.assert_array_equal(mapped[0], whole[0])


def test_joints_that_are_known_to_be_zero_count() -> None:
    mapping = find_map("kinect_v1_20", "kinect_v2_25")
    given = joints_of(mapping)
    given[:, :, mapping.source.joint("head")] = 0
    known = np.ones(given.shape[:-1], bool)
    neck = mapping.joints(given, known)[..., mapping.target.joint("neck"), :]
    np.testing.assert_allclose(neck, given[..., mapping.source.joint("shoulder_centre"), :] / 2)
    assert not mapping.joints(given)[..., mapping.target.joint("neck"), :].any()


def test_confidence_is_that_of_the_least_sure_source() -> None:
    mapping = find_map("blazepose_33", "kinect_v1_20")
    sure = np.random.default_rng(1).random((3, 33)).astype(np.float32)
    mapped = mapping.confidence(sure)
    assert mapped.shape == (3, 20)
    hips = sure[:, [23, 24]].min(1)
    np.testing.assert_array_equal(mapped[:, mapping.target.joint("hip_centre")], hips)
    np.testing.assert_array_equal(mapped[:, mapping.target.joint("left_knee")], sure[:, 25])


def test_layouts_of_the_same_joints_are_reordered() -> None:
    given = np.random.default_rng(2).normal(size=(20, 3)).astype(np.float32)
    there = map_joints(given, "kinect_v1_20", "kinect_v1_20_utd")
    np.testing.assert_array_equal(there[:4], given[[3, 2, 1, 0]])
    np.testing.assert_array_equal(map_joints(there, "kinect_v1_20_utd", "kinect_v1_20"), given)
    back = map_joints(
        map_joints(given, "kinect_v1_20", "kinect_v2_25"), "kinect_v2_25", "kinect_v1_20"
    )
    np.testing.assert_array_equal(back, given)
    np.testing.assert_array_equal(map_joints(given, "kinect_v1_20", "kinect_v1_20"), given)


def test_pairs_and_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(InputError, match=r"no map from layout coco_17 to kinect_v2_25; there are"):
        find_map("coco_17", "kinect_v2_25")
    with pytest.raises(InputError, match="Unknown skeleton layout 'h36m'"):
        find_map("h36m", "coco_17")
    with pytest.raises(InputError, match=r"\(4, 17, 3\) cannot be mapped.*expected 33 joints"):
        map_joints(np.zeros((4, 17, 3)), "blazepose_33", "coco_17")


def test_the_document_lists_every_joint_of_every_map() -> None:
    text = DOCS.read_text()
    for (source, target), mapping in MAPS.items():
        if "kinect_v1_20_utd" in (source, target):  # the joints of kinect_v1_20, in another order
            continue
        table = text.split(f"**{source} to {target}**", 1)[1].split("\n\n", 2)[1]
        rows = {
            row(joint, mapping) for joint in mapping.target.joints if not joint.startswith("right")
        }
        assert set(table.splitlines()[2:]) == rows


def row(joint: str, mapping: LayoutMap) -> str:
    """Return a row of the document's table; joints of both sides have one."""
    guessed = " (guessed)" if joint in mapping.guessed else ""
    sources = " + ".join(mapping.sources[joint])
    if joint.startswith("left_"):
        joint, sources = joint.replace("left_", "side_"), sources.replace("left_", "side_")
    return f"| {joint}{guessed} | {sources} |"
