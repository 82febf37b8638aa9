"""User-defined layouts: plain values to a layout and back, and a message for every mistake."""

from collections.abc import Callable
from typing import Any

import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import LAYOUTS, PARTS, Layout
from hhmnet_core.skeleton.own_layout import layout_fields, parse_layout


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
def test_fields_of_a_layout_build_it_again(layout: Layout) -> None:
    fields = layout_fields(layout) | {"name": "mine"}
    again = parse_layout(fields, "here")
    assert layout_fields(again) == fields
    assert (again.bones, again.mirror, again.centre) == (layout.bones, layout.mirror, layout.centre)
    assert again.parts == layout.parts and again.channels == layout.channels


def test_reflection_exchanges_the_hands_and_absent_parts_are_empty() -> None:
    layout = parse_layout(stick(), "here")
    assert layout.mirror == (0, 1, 3, 2)
    assert tuple(layout.parts) == PARTS
    assert layout.parts["left_arm"] == (2,) and layout.parts["right_leg"] == ()


MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "missing": (lambda f: f.pop("bones"), "expected bones, centre, channels, joints, name, parts"),
    "unknown": (lambda f: f.update(color="red"), "has name, .*color; expected bones"),
    "built in": (lambda f: f.update(name="coco_17"), "coco_17 is the name of a built-in layout"),
    "channels": (lambda f: f.update(channels=4), "channels must be 2 or 3, but is 4"),
    "twice": (lambda f: f["joints"].append("hip"), "joint hip occurs twice"),
    "no list": (lambda f: f.update(joints="hip"), "joints must be a list of names, but is hip"),
    "centre": (lambda f: f.update(centre="heart"), "unknown joint heart; joints are hip, head"),
    "bone": (lambda f: f["bones"].append(["foot", "hip"]), "unknown joint foot"),
    "pair": (lambda f: f["bones"].append(["head"]), "bones must be a list of pairs"),
    "part": (lambda f: f["parts"].update(tail=["hip"]), "unknown part tail; known are head"),
    "no parts": (lambda f: f.update(parts=["hip"]), "parts must map names of body parts"),
    "no name": (lambda f: f.update(name=None), "name must be text, but is None"),
    "part twice": (lambda f: f["parts"]["head"].append("hip"), "hip is in parts twice"),
    "no part": (lambda f: f.update(parts={}), "parts are empty; expected each joint in one"),
    "huge": (lambda f: f.update(centre="x" * 9999), "unknown joint x{120}...;"),
    "lost": (lambda f: f["bones"].pop(), "do not lead from right_hand to hip"),
    "circle": (
        lambda f: f["bones"].__setitem__(0, ["head", "left_hand"]),
        "do not lead from head to hip",
    ),
    "doubled": (lambda f: f["bones"].append(["head", "hip"]), "4 bones for 4 joints; expected 3"),
    "one side": (lambda f: f["joints"].__setitem__(3, "hand"), "unknown joint right_hand"),
}  # fmt: skip


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistake_is_named(kind: str) -> None:
    spoil, message = MISTAKES[kind]
    fields = stick()
    spoil(fields)
    with pytest.raises(InputError, match=message) as caught:
        parse_layout(fields, "stick.yaml")
    assert str(caught.value).startswith("stick.yaml")


def test_joints_may_be_numbers() -> None:
    fields = stick() | {"joints": [1, 2, 3, 4], "centre": 1, "bones": [[2, 1], [3, 2], [4, 2]]}
    layout = parse_layout(fields | {"parts": {"torso": [1, 2]}}, "here")
    assert layout.joints == ("1", "2", "3", "4") and layout.bones == ((1, 0), (2, 1), (3, 1))


def test_joint_without_partner_and_fields_without_names_are_refused() -> None:
    fields = stick() | {"joints": ["hip", "head", "left_hand", "hand"]}
    fields["bones"] = [["head", "hip"], ["left_hand", "head"], ["hand", "head"]]
    with pytest.raises(InputError, match="left_hand has no partner right_hand for reflection"):
        parse_layout(fields, "here")
    with pytest.raises(InputError, match=r"here has \[1\]; expected bones"):
        parse_layout([1], "here")
