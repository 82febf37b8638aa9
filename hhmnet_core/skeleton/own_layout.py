"""User-defined skeleton layouts as plain values, as in a YAML file or a manifest."""

from collections import Counter
from collections.abc import Mapping

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import (
    LAYOUTS,
    PARTS,
    Layout,
    get_layout,
    mirror_name,
    mirror_partners,
)

_FIELDS = {"name", "channels", "joints", "centre", "bones", "parts"}
_LONGEST_QUOTE = 120  # characters of a user's value that a message repeats

Bones = tuple[tuple[int, int], ...]


def parse_layout(fields: object, where: str) -> Layout:
    """Build a layout from plain values.

    Args:
        fields: A mapping with `name`; `channels`, 2 or 3; `joints`, their names in the order of the
            data; `centre`, the joint on which clips are centred; `bones`, pairs of a joint and the
            next joint towards the centre; `parts`, the joints of head, torso, left_arm, right_arm,
            left_leg and right_leg, as far as the skeleton has them. Reflection exchanges the
            joints whose names differ by their side only: left_x and right_x, LX and RX, x_l and
            x_r.
        where: Name of the file or manifest, for messages.

    Raises:
        InputError: A field is missing, unknown or malformed, or the bones are not a tree.
    """
    if not isinstance(fields, Mapping) or set(fields) != _FIELDS:
        keys = ", ".join(map(str, fields)) if isinstance(fields, Mapping) else repr(fields)
        raise InputError(f"{where} has {_quote(keys)}; expected {', '.join(sorted(_FIELDS))}.")
    name, channels = fields["name"], fields["channels"]
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{where}: name must be text, but is {_quote(name)}; put it in quotes.")
    if name in LAYOUTS:
        raise InputError(
            f"{where}: {name} is the name of a built-in layout; give this one another name."
        )
    if channels not in (2, 3):
        raise InputError(f"{where}: channels must be 2 or 3, but is {_quote(channels)}.")
    joints = _Joints(fields["joints"], where)
    centre = joints.index(fields["centre"])
    bones = _parse_bones(fields["bones"], joints)
    parts = _parse_parts(fields["parts"], joints)
    _check_tree(bones, centre, joints)
    return Layout(name, joints.names, bones, parts, _mirror(joints), centre, channels)


def recorded_layout(name: str, fields: object | None) -> Layout:
    """Return the layout that a store or a model records.

    Args:
        name: Its name.
        fields: Its fields, as `layout_fields` returned them. None: it is built in.

    Raises:
        InputError: An unknown name, or fields that `parse_layout` refuses.
    """
    return get_layout(name) if fields is None else parse_layout(fields, f"The layout {name}")


def layout_fields(layout: Layout) -> dict[str, object]:
    """Return a layout as the plain values from which `parse_layout` builds it."""
    names = layout.joints
    return {
        "name": layout.name,
        "channels": layout.channels,
        "joints": list(names),
        "centre": names[layout.centre],
        "bones": [[names[child], names[parent]] for child, parent in layout.bones],
        "parts": {
            part: [names[joint] for joint in joints] for part, joints in layout.parts.items()
        },
    }


class _Joints:
    """The joints' names, and their indices."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, list) or not value:
            raise InputError(f"{where}: joints must be a list of names, but is {_quote(value)}.")
        self.names, self.where = tuple(map(str, value)), where
        if repeated := [joint for joint, count in Counter(self.names).items() if count > 1]:
            raise InputError(f"{where}: joint {_quote(repeated[0])} occurs twice.")
        self._index = {joint: index for index, joint in enumerate(self.names)}

    def index(self, joint: object) -> int:
        if str(joint) not in self._index:
            known = _quote(", ".join(self.names))
            raise InputError(f"{self.where}: unknown joint {_quote(joint)}; joints are {known}.")
        return self._index[str(joint)]


def _parse_bones(value: object, joints: _Joints) -> Bones:
    if not isinstance(value, list) or any(
        not isinstance(pair, list) or len(pair) != 2 for pair in value
    ):
        raise InputError(f"{joints.where}: bones must be a list of pairs of joints.")
    return tuple((joints.index(child), joints.index(parent)) for child, parent in value)


def _parse_parts(value: object, joints: _Joints) -> dict[str, tuple[int, ...]]:
    where, known = joints.where, ", ".join(PARTS)
    if not isinstance(value, Mapping) or not all(isinstance(of, list) for of in value.values()):
        raise InputError(f"{where}: parts must map names of body parts ({known}) to joints.")
    if unknown := [part for part in value if part not in PARTS]:
        raise InputError(f"{where}: unknown part {_quote(unknown[0])}; known are {known}.")
    parts = {part: tuple(map(joints.index, value.get(part, ()))) for part in PARTS}
    counts = Counter(joint for members in parts.values() for joint in members)
    if not counts:
        raise InputError(f"{where}: parts are empty; expected each joint in one part or none.")
    joint, count = counts.most_common(1)[0]
    if count > 1:
        raise InputError(
            f"{where}: {joints.names[joint]} is in parts twice; expected each joint in one part or "
            "none."
        )
    return parts


def _check_tree(bones: Bones, centre: int, joints: _Joints) -> None:
    """Raise InputError unless the bones lead from every joint to the centre, each in one way."""
    names, where, parent_of = joints.names, joints.where, dict(bones)
    for joint in range(len(names)):
        path = [joint]
        while path[-1] != centre:
            path.append(parent_of.get(path[-1], joint))
            if path[-1] == joint or len(path) > len(names):
                raise InputError(
                    f"{where}: the bones do not lead from {names[joint]} to {names[centre]}; "
                    "expected a pair (joint, next joint towards the centre) for each joint but the "
                    "centre."
                )
    if len(bones) != len(names) - 1:
        raise InputError(
            f"{where} has {len(bones)} bones for {len(names)} joints; expected {len(names) - 1}."
        )


def _mirror(joints: _Joints) -> tuple[int, ...]:
    try:
        return mirror_partners(joints.names)
    except ValueError:
        lone = next(joint for joint in joints.names if mirror_name(joint) not in joints.names)
        raise InputError(
            f"{joints.where}: {lone} has no partner {mirror_name(lone)} for reflection; name the "
            "joints of both sides alike."
        ) from None


def _quote(value: object) -> str:
    """Shorten a user's value for a message."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."
