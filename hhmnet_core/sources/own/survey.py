"""What the skeleton files of a data set have in common, found before any of them becomes a clip.

Some readings are right or wrong for a whole data set only: the order of the axes, joints that are
zero throughout, and how much the bodies differ in size.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.axes import Shape
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.skeleton.missing import BoolArray, Float32Array

# People differ by a factor of two or three, metres and centimetres by a hundred.
MAX_UNIT_RATIO = 50.0
_FEW = 3  # clips that a message names


@dataclass(frozen=True)
class Measured:
    """A skeleton file, measured.

    Attributes:
        shape: Shape of its array.
        zero: Joints that are exactly zero in all frames of all bodies.
        origin: Joints that are exactly zero in the first frame that shows a body.
        size: Mean length of its bones, in the unit of the file. None: unknown.
    """

    shape: Shape
    zero: frozenset[int]
    origin: frozenset[int]
    size: float | None


def measure(
    shape: Shape, joints_mtvc: Float32Array, known_mtv: BoolArray, layout: Layout
) -> Measured:
    """Measure a file whose joints are known as given."""
    is_zero_mtv = (joints_mtvc == 0).all(-1)
    origin: frozenset[int] = frozenset()
    if (start := first_pose(known_mtv)) is not None:
        origin = _joints(is_zero_mtv[start])
    size = bone_length(joints_mtvc, known_mtv, layout)
    return Measured(shape, _joints(is_zero_mtv.all((0, 1))), origin, size)


def first_pose(known_mtv: BoolArray) -> tuple[int, int] | None:
    """Return body and frame of the first pose, None where nobody is shown."""
    poses = np.argwhere(np.any(known_mtv, -1).T)
    return (int(poses[0][1]), int(poses[0][0])) if len(poses) else None


def _joints(marked_v: BoolArray) -> frozenset[int]:
    return frozenset(map(int, np.flatnonzero(marked_v)))


def bone_length(joints_mtvc: Float32Array, known_mtv: BoolArray, layout: Layout) -> float | None:
    """Return the mean length of a clip's bones, each over the frames that show both its ends."""
    children, parents = (list(ends) for ends in zip(*layout.bones, strict=True))
    known_mtb = known_mtv[..., children] & known_mtv[..., parents]
    with np.errstate(over="ignore", invalid="ignore"):
        vectors = joints_mtvc[..., children, :] - joints_mtvc[..., parents, :]
        lengths_mtb = np.where(known_mtb, np.linalg.norm(vectors.astype(np.float64), axis=-1), 0)
    count_b = known_mtb.sum((0, 1))
    if not count_b.any():
        return None
    return float((lengths_mtb.sum((0, 1))[count_b > 0] / count_b[count_b > 0]).mean())


def always_zero(files: Iterable[Measured], layout: Layout) -> frozenset[int]:
    """Return the joints that are zero in every frame of every file, unless all of them are."""
    zero = frozenset(range(layout.num_joints))
    for file in files:
        zero &= file.zero
    return zero if len(zero) < layout.num_joints else frozenset()


def common_origin(files: Collection[Measured]) -> frozenset[int]:
    """Return the joints on whose first position every file is centred, if there are two files."""
    if len(files) < 2:
        return frozenset()
    return frozenset.intersection(*(file.origin for file in files))


def check_units(sizes: Mapping[str, float | None], where: str) -> None:
    """Raise InputError where the bodies of some clips are far larger or smaller than the others'.

    Args:
        sizes: Bone length of each clip.
        where: Description of the clips, for the message.
    """
    known = {name: size for name, size in sizes.items() if size}
    if len(known) < 2:
        return
    middle = float(np.median(list(known.values())))
    others = {
        name: size
        for name, size in known.items()
        if not middle / MAX_UNIT_RATIO < size < middle * MAX_UNIT_RATIO
    }
    if others:
        listed = ", ".join(f"{name} ({size:.3g})" for name, size in [*others.items()][:_FEW])
        raise InputError(
            f"{len(others)} of {len(known)} clips of {where} are in another unit than the others: "
            f"the mean length of their bones is not near the median, {middle:.3g}: {listed}"
            f"{' ...' if len(others) > _FEW else ''}. Convert them, or leave them out."
        )


def size_ratio(sizes: Mapping[str, float | None], group_of: Mapping[str, str]) -> tuple[float, str]:
    """Return the largest ratio of body sizes between groups of clips, and the two groups.

    Args:
        sizes: Bone length of each clip.
        group_of: Group of each clip, such as its subject.

    Returns:
        The ratio of the medians, 1 where there are fewer than two groups, and a text that names
        the groups.
    """
    by_group: dict[str, list[float]] = {}
    for name, size in sizes.items():
        if size:
            by_group.setdefault(group_of[name], []).append(size)
    medians = {group: float(np.median(values)) for group, values in by_group.items()}
    if len(medians) < 2:
        return 1.0, ""
    small, large = min(medians, key=medians.__getitem__), max(medians, key=medians.__getitem__)
    return medians[large] / medians[small], f"{large} and {small}"
