"""Skeleton layouts: the joints of a sensor, the bones between them, and left-right partners.

A bone is a pair (child, parent) and points from the parent to the child. Each joint but the centre
is the child of exactly one bone, so a bone modality has one vector per joint (zero at the centre).
Sources: Kinect SDK joint orders; CTR-GCN (Chen et al., ICCV 2021) for the bone lists of
`kinect_v1_20` and `kinect_v2_25`; COCO keypoints for `coco_17`; MediaPipe's pose landmarks
(Bazarevsky et al., BlazePose, 2020) for `blazepose_33`, whose centre is the nose: it has no neck or
pelvis, and every other joint belongs to a side.
"""

import re
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from hhmnet_core.errors import InputError

PARTS = ("head", "torso", "left_arm", "right_arm", "left_leg", "right_leg")


@dataclass(frozen=True)
class Layout:
    """A skeleton layout of V joints.

    Attributes:
        name: Name in stores and configs.
        joints: Joint names, in the order of the data.
        bones: V - 1 pairs (child, parent), a tree rooted at `centre`.
        parts: Joints of each of the six body parts, by the names in `PARTS`.
        mirror: Joint that takes each joint's place in a reflection; an involution.
        centre: Root of the tree, on which clips are centred.
        channels: Coordinates per joint: 3 (metres; x right, y up, z away) or 2 (pixels).
    """

    name: str
    joints: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    parts: dict[str, tuple[int, ...]]
    mirror: tuple[int, ...]
    centre: int
    channels: int = 3

    @property
    def num_joints(self) -> int:
        return len(self.joints)

    @property
    def has_sides(self) -> bool:
        """Whether a reflection exchanges any joints."""
        return self.mirror != tuple(range(self.num_joints))

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """Parent of each joint, (V,). The centre is its own parent."""
        parent_of = dict(self.bones)
        return tuple(parent_of.get(joint, joint) for joint in range(self.num_joints))

    @cached_property
    def hops(self) -> Tensor:
        """Number of bones on the path between each two joints, (V, V) long."""
        unreached = self.num_joints
        hops_vv = torch.full((unreached, unreached), unreached, dtype=torch.long)
        hops_vv.fill_diagonal_(0)
        for child, parent in self.bones:
            hops_vv[child, parent] = hops_vv[parent, child] = 1
        for middle in range(self.num_joints):
            hops_vv = torch.minimum(hops_vv, hops_vv[:, middle, None] + hops_vv[middle])
        return hops_vv

    def joint(self, name: str) -> int:
        """Return the index of a joint. Raises InputError for an unknown name."""
        if name not in self.joints:
            raise InputError(
                f"Layout {self.name} has no joint {name!r}; it has {', '.join(self.joints)}."
            )
        return self.joints.index(name)

    def check(self, num_joints: int, channels: int, what: str) -> None:
        """Raise InputError, naming `what`, unless it has this layout's joints and channels."""
        if (num_joints, channels) != (self.num_joints, self.channels):
            raise InputError(
                f"{what} has {num_joints} joints of {channels} channels, but layout {self.name} "
                f"has {self.num_joints} joints of {self.channels}: give the layout that the data "
                f"was recorded in ({', '.join(LAYOUTS)})."
            )

    def permuted(self, order: tuple[int, ...]) -> "Layout":
        """Return this layout with its joints reordered: new joint j is old joint order[j]."""
        new_index = {old: new for new, old in enumerate(order)}
        return Layout(
            name=f"{self.name}_permuted",
            joints=tuple(self.joints[old] for old in order),
            bones=tuple((new_index[child], new_index[parent]) for child, parent in self.bones),
            parts={
                part: tuple(new_index[old] for old in old_joints)
                for part, old_joints in self.parts.items()
            },
            mirror=tuple(new_index[self.mirror[old]] for old in order),
            centre=new_index[self.centre],
            channels=self.channels,
        )


_OTHER_SIDE = {"left": "right", "right": "left", "l": "r", "r": "l"}
# left_wrist, LeftWrist, SHOULDER_LEFT, wristRight, leftwrist
_SIDE_WORD = re.compile(
    r"^(?i:left|right)|(?<![A-Za-z])(?i:left|right)(?![a-z])|(?<=[a-z])(?:Left|Right)(?![a-z])"
)
# l_wrist, L.Wrist, LWrist, lWrist, wrist_l, wrist.R, wristL
_SIDE_LETTER = re.compile(
    r"^[LRlr](?=[ _.-])|(?<=[ _.-])[LRlr]$|^[LR](?=[A-Z][a-z])|^[lr](?=[A-Z])|(?<=[a-z])[LR]$"
)


def mirror_name(joint: str) -> str:
    """Return the name of a joint's left-right partner, its own where it names no side.

    A side is the word left or right, or the letter l or r apart from others by a separator or by
    its case.
    """
    side = _SIDE_WORD.search(joint) or _SIDE_LETTER.search(joint)
    if side is None:
        return joint
    other = _OTHER_SIDE[side[0].lower()]
    other = other.upper() if side[0].isupper() else other
    other = other.title() if side[0].istitle() and len(other) > 1 else other
    return f"{joint[: side.start()]}{other}{joint[side.end() :]}"


def mirror_partners(joints: tuple[str, ...]) -> tuple[int, ...]:
    """Return the index of each joint's left-right partner, by its name.

    Raises:
        ValueError: A joint without its partner on the other side.
    """
    return tuple(joints.index(mirror_name(joint)) for joint in joints)


_KINECT_V1 = (
    "hip_centre", "spine", "shoulder_centre", "head",
    "left_shoulder", "left_elbow", "left_wrist", "left_hand",
    "right_shoulder", "right_elbow", "right_wrist", "right_hand",
    "left_hip", "left_knee", "left_ankle", "left_foot",
    "right_hip", "right_knee", "right_ankle", "right_foot",
)  # fmt: skip

_KINECT_V2 = (
    "spine_base", "spine_mid", "neck", "head",
    "left_shoulder", "left_elbow", "left_wrist", "left_hand",
    "right_shoulder", "right_elbow", "right_wrist", "right_hand",
    "left_hip", "left_knee", "left_ankle", "left_foot",
    "right_hip", "right_knee", "right_ankle", "right_foot",
    "spine_shoulder", "left_hand_tip", "left_thumb", "right_hand_tip", "right_thumb",
)  # fmt: skip

_COCO = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip

_BLAZEPOSE = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer",
    "right_eye_inner", "right_eye", "right_eye_outer", "left_ear", "right_ear",
    "left_mouth", "right_mouth", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index",
    "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee",
    "left_ankle", "right_ankle", "left_heel", "right_heel", "left_foot_index", "right_foot_index",
)  # fmt: skip

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout(
            name="kinect_v1_20",
            joints=_KINECT_V1,
            bones=(
                (0, 1), (1, 2), (3, 2),
                (4, 2), (5, 4), (6, 5), (7, 6), (8, 2), (9, 8), (10, 9), (11, 10),
                (12, 0), (13, 12), (14, 13), (15, 14), (16, 0), (17, 16), (18, 17), (19, 18),
            ),
            parts={
                "head": (2, 3), "torso": (0, 1),
                "left_arm": (4, 5, 6, 7), "right_arm": (8, 9, 10, 11),
                "left_leg": (12, 13, 14, 15), "right_leg": (16, 17, 18, 19),
            },
            mirror=mirror_partners(_KINECT_V1),
            centre=2,
        ),
        Layout(
            name="kinect_v2_25",
            joints=_KINECT_V2,
            bones=(
                (0, 1), (1, 20), (2, 20), (3, 2),
                (4, 20), (5, 4), (6, 5), (7, 6), (21, 22), (22, 7),
                (8, 20), (9, 8), (10, 9), (11, 10), (23, 24), (24, 11),
                (12, 0), (13, 12), (14, 13), (15, 14), (16, 0), (17, 16), (18, 17), (19, 18),
            ),
            parts={
                "head": (2, 3), "torso": (0, 1, 20),
                "left_arm": (4, 5, 6, 7, 21, 22), "right_arm": (8, 9, 10, 11, 23, 24),
                "left_leg": (12, 13, 14, 15), "right_leg": (16, 17, 18, 19),
            },
            mirror=mirror_partners(_KINECT_V2),
            centre=20,
        ),
        Layout(
            name="coco_17",
            joints=_COCO,
            bones=(
                (1, 0), (2, 0), (3, 1), (4, 2), (5, 0), (6, 0), (7, 5), (8, 6), (9, 7), (10, 8),
                (11, 5), (12, 6), (13, 11), (14, 12), (15, 13), (16, 14),
            ),
            parts={
                "head": (0, 1, 2, 3, 4), "torso": (5, 6, 11, 12),
                "left_arm": (7, 9), "right_arm": (8, 10),
                "left_leg": (13, 15), "right_leg": (14, 16),
            },
            mirror=mirror_partners(_COCO),
            centre=0,
            channels=2,
        ),
        Layout(
            name="blazepose_33",
            joints=_BLAZEPOSE,
            bones=(
                (1, 0), (2, 1), (3, 2), (7, 3), (4, 0), (5, 4), (6, 5), (8, 6), (9, 0), (10, 0),
                (11, 0), (13, 11), (15, 13), (17, 15), (19, 15), (21, 15),
                (12, 0), (14, 12), (16, 14), (18, 16), (20, 16), (22, 16),
                (23, 11), (25, 23), (27, 25), (29, 27), (31, 27),
                (24, 12), (26, 24), (28, 26), (30, 28), (32, 28),
            ),
            parts={
                "head": tuple(range(11)), "torso": (11, 12, 23, 24),
                "left_arm": (13, 15, 17, 19, 21), "right_arm": (14, 16, 18, 20, 22),
                "left_leg": (25, 27, 29, 31), "right_leg": (26, 28, 30, 32),
            },
            mirror=mirror_partners(_BLAZEPOSE),
            centre=0,
        ),
    )
}  # fmt: skip

# UTD-MHAD lists the same joints from the head downwards.
_UTD_ORDER = (3, 2, 1, 0, *range(4, len(_KINECT_V1)))
LAYOUTS["kinect_v1_20_utd"] = replace(
    LAYOUTS["kinect_v1_20"].permuted(_UTD_ORDER), name="kinect_v1_20_utd"
)


def get_layout(name: str) -> Layout:
    """Return a built-in layout. Raises InputError for an unknown name."""
    if name not in LAYOUTS:
        raise InputError(
            f"Unknown skeleton layout {name!r}; known are {', '.join(LAYOUTS)}, or a .yaml file."
        )
    return LAYOUTS[name]
