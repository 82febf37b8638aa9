"""Skeleton layouts of one's own, as plain values: from a file, and in a store's manifest."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import LAYOUTS, PARTS, Layout, mirror_of

_NEEDED = {"name", "channels", "joints", "centre", "bones", "parts"}


def layout_from(fields: object, where: str) -> Layout:
    """A layout of one's own.

    Args:
        fields: A mapping of `name`; `channels`, 2 or 3; `joints`, their names in the order of the
            data; `centre`, the joint where clips are centred; `bones`, pairs of a joint and the
            next one towards the centre; `parts`, the joints of head, torso, left_arm, right_arm,
            left_leg and right_leg, where the skeleton has them. In a mirror `left_x` and `right_x`
            change places.
        where: What is read, for messages.

    Raises:
        InputError: A field that is missing, unknown or spoilt, or bones that are no tree.
    """
    if not isinstance(fields, Mapping) or set(fields) != _NEEDED:
        seen = ", ".join(map(str, fields)) if isinstance(fields, Mapping) else repr(fields)
        raise InputError(f"{where} has {_short(seen)}; expected {', '.join(sorted(_NEEDED))}.")
    name, channels = fields["name"], fields["channels"]
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{where}: name must be text, but is {_short(name)}; put it in quotes.")
    if name in LAYOUTS:
        raise InputError(f"{where} is named {name}, as a built-in layout: give it another name.")
    if channels not in (2, 3):
        raise InputError(f"{where}: channels must be 2 or 3, but is {_short(channels)}.")
    given = fields["joints"]
    if not isinstance(given, list) or not given:
        raise InputError(f"{where}: joints must be a list of names, but is {_short(given)}.")
    joints = tuple(map(str, given))
    if twice := [joint for joint, count in Counter(joints).items() if count > 1]:
        raise InputError(f"{where}: joint {_short(twice[0])} occurs twice.")
    number_of = {joint: number for number, joint in enumerate(joints)}

    def number(joint: object) -> int:
        if str(joint) not in number_of:
            known = _short(", ".join(joints))
            raise InputError(f"{where}: {_short(joint)} is none of its joints ({known}).")
        return number_of[str(joint)]

    centre = number(fields["centre"])
    given = fields["bones"]
    if not isinstance(given, list) or any(
        not isinstance(pair, list) or len(pair) != 2 for pair in given
    ):
        raise InputError(f"{where}: bones must be a list of pairs of joints.")
    bones = tuple((number(child), number(parent)) for child, parent in given)
    given = fields["parts"]
    if not isinstance(given, Mapping) or not all(isinstance(of, list) for of in given.values()):
        raise InputError(
            f"{where}: parts must give a list of joints for each of those of {', '.join(PARTS)} "
            "that there are."
        )
    if unknown := [part for part in given if part not in PARTS]:
        raise InputError(
            f"{where}: unknown part {_short(unknown[0])}; known are {', '.join(PARTS)}."
        )
    parts = {str(part): tuple(map(number, of)) for part, of in given.items()}
    counts = Counter(joint for of in parts.values() for joint in of)
    if not counts or counts.most_common(1)[0][1] > 1:
        said = f"{joints[counts.most_common(1)[0][0]]} is in parts twice" if counts else "no part"
        raise InputError(f"{where}: {said}; expected each joint in one part or none.")
    parent_of = dict(bones)
    for joint in range(len(joints)):
        path = [joint]
        while path[-1] != centre:
            path.append(parent_of.get(path[-1], joint))
            if path[-1] == joint or len(path) > len(joints):
                raise InputError(
                    f"{where}: its bones do not lead from {joints[joint]} to {joints[centre]}; "
                    "expected a pair (joint, next one towards the centre) for each but the centre."
                )
    if len(bones) != len(joints) - 1:
        raise InputError(
            f"{where} has {len(bones)} bones of {len(joints)} joints; expected {len(joints) - 1}."
        )
    try:
        mirror = mirror_of(joints)
    except ValueError:
        swap = {"left": "right", "right": "left"}
        sides = [joint.partition("_") for joint in joints if joint.partition("_")[0] in swap]
        lone = next(s + b + r for s, b, r in sides if f"{swap[s]}_{r}" not in joints)
        raise InputError(
            f"{where}: {lone} has no partner on the other side, to change places with in a mirror."
        ) from None
    return Layout(
        name, joints, bones, {part: parts.get(part, ()) for part in PARTS}, mirror, centre, channels
    )


def fields_of(layout: Layout) -> dict[str, Any]:
    """The plain values that `layout_from` makes this layout of."""
    names = layout.joints
    return {
        "name": layout.name,
        "channels": layout.channels,
        "joints": list(names),
        "centre": names[layout.centre],
        "bones": [[names[child], names[parent]] for child, parent in layout.bones],
        "parts": {part: [names[joint] for joint in of] for part, of in layout.parts.items()},
    }


def _short(value: object) -> str:
    """For messages: what a user gave may be very long."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 120 else f"{text[:120]}..."
