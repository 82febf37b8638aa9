"""Layouts of one's own: from plain values and back, and every mistake in them."""

from collections.abc import Callable
from typing import Any

import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import LAYOUTS, PARTS, Layout
from hhmnet_core.skeleton.own_layout import fields_of, layout_from


def stick() -> dict[str, Any]:
    return {
        "name": "stick",
        "channels": 3,
        "centre": "hip",
        "joints": ["hip", "head", "left_hand", "right_hand"],
        "bones": [["head", "hip"], ["left_hand", "head"], ["right_hand", "head"]],
        "parts": {"head": ["head"], "torso": ["hip"], "left_arm": ["left_hand"]},
    }


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layout_comes_back_from_its_fields(layout: Layout) -> None:
    fields = fields_of(layout) | {"name": "mine"}
    again = layout_from(fields, "here")
    assert fields_of(again) == fields
    assert (again.bones, again.mirror, again.centre) == (layout.bones, layout.mirror, layout.centre)
    assert again.parts == layout.parts and again.channels == layout.channels


def test_hands_change_in_the_mirror_and_absent_parts_are_empty() -> None:
    layout = layout_from(stick(), "here")
    assert layout.mirror == (0, 1, 3, 2)
    assert tuple(layout.parts) == PARTS
    assert layout.parts["left_arm"] == (2,) and layout.parts["right_leg"] == ()


MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "missing": (lambda f: f.pop("bones"), "expected bones, centre, channels, joints, name, parts"),
    "unknown": (lambda f: f.update(color="red"), "has name, .*color; expected bones"),
    "built in": (lambda f: f.update(name="coco_17"), "as a built-in layout"),
    "channels": (lambda f: f.update(channels=4), "channels must be 2 or 3, but is 4"),
    "twice": (lambda f: f["joints"].append("hip"), "joint hip occurs twice"),
    "no list": (lambda f: f.update(joints="hip"), "joints must be a list of names, but is hip"),
    "centre": (lambda f: f.update(centre="heart"), "heart is none of its joints"),
    "bone": (lambda f: f["bones"].append(["foot", "hip"]), "foot is none of its joints"),
    "pair": (lambda f: f["bones"].append(["head"]), "bones must be a list of pairs"),
    "part": (lambda f: f["parts"].update(tail=["hip"]), "unknown part tail; known are head"),
    "no parts": (lambda f: f.update(parts=["hip"]), "parts must give a list of joints"),
    "no name": (lambda f: f.update(name=None), "name must be text, but is None"),
    "part twice": (lambda f: f["parts"]["head"].append("hip"), "hip is in parts twice"),
    "no part": (lambda f: f.update(parts={}), "no part; expected each joint in one"),
    "huge": (lambda f: f.update(centre="x" * 9999), "x{120}... is none of its joints"),
    "lost": (lambda f: f["bones"].pop(), "do not lead from right_hand to hip"),
    "circle": (
        lambda f: f["bones"].__setitem__(0, ["head", "left_hand"]),
        "do not lead from head to hip",
    ),
    "doubled": (lambda f: f["bones"].append(["head", "hip"]), "4 bones of 4 joints; expected 3"),
    "one side": (lambda f: f["joints"].__setitem__(3, "hand"), "none of its joints"),
}  # fmt: skip


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistake_is_named(kind: str) -> None:
    spoil, said = MISTAKES[kind]
    fields = stick()
    spoil(fields)
    with pytest.raises(InputError, match=said) as caught:
        layout_from(fields, "stick.yaml")
    assert str(caught.value).startswith("stick.yaml")


def test_joints_may_be_numbers() -> None:
    fields = stick() | {"joints": [1, 2, 3, 4], "centre": 1, "bones": [[2, 1], [3, 2], [4, 2]]}
    layout = layout_from(fields | {"parts": {"torso": [1, 2]}}, "here")
    assert layout.joints == ("1", "2", "3", "4") and layout.bones == ((1, 0), (2, 1), (3, 1))


def test_left_without_right_and_no_mapping_are_refused() -> None:
    fields = stick() | {"joints": ["hip", "head", "left_hand", "hand"]}
    fields["bones"] = [["head", "hip"], ["left_hand", "head"], ["hand", "head"]]
    with pytest.raises(InputError, match="left_hand has no partner on the other side"):
        layout_from(fields, "here")
    with pytest.raises(InputError, match=r"here has \[1\]; expected bones"):
        layout_from([1], "here")
