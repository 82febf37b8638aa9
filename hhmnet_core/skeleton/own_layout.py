"""Skeleton layouts of one's own, as plain values: from a file, and in a store's manifest."""

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
        seen = ", ".join(sorted(map(str, fields))) if isinstance(fields, Mapping) else repr(fields)
        raise InputError(f"{where} has {seen}; expected {', '.join(sorted(_NEEDED))}.")
    name, channels, joints = str(fields["name"]), fields["channels"], fields["joints"]
    if not isinstance(joints, list) or len({str(joint) for joint in joints}) != len(joints):
        raise InputError(f"{where}: joints must be a list of different names, but is {joints!r}.")
    joints = tuple(map(str, joints))
    if name in LAYOUTS:
        raise InputError(f"{where} is named {name}, as a built-in layout: give it another name.")
    if channels not in (2, 3):
        raise InputError(f"{where}: channels must be 2 or 3, but is {channels!r}.")

    def number(joint: object) -> int:
        if joint not in joints:
            raise InputError(f"{where}: {joint!r} is none of its joints ({', '.join(joints)}).")
        return joints.index(str(joint))

    centre = number(fields["centre"])
    try:
        bones = tuple((number(child), number(parent)) for child, parent in fields["bones"])
        parts = {str(part): tuple(map(number, of)) for part, of in fields["parts"].items()}
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{where}: bones must be pairs of joints, and parts lists of joints by name ({error})."
        ) from error
    if unknown := sorted(set(parts) - set(PARTS)):
        raise InputError(f"{where}: unknown part {unknown[0]!r}; known are {', '.join(PARTS)}.")
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
    except ValueError as error:
        raise InputError(
            f"{where}: a left joint has no right one, or the other way round ({error})."
        ) from error
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
