"""A human figure of 20 joints, posed by the positions of its hands and feet.

The torso follows joint angles from the hips up. Arms and legs follow targets by two-bone inverse
kinematics, so bones keep their length in any motion. Axes of the figure's world: x to its left, y
up, z forward, in metres, with the floor at y = 0. Arrays are batched over N clips and T frames;
sides are 0 (left) and 1 (right).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SIDES = np.array([1.0, -1.0])  # the direction of each side along x
# Bone lengths as shares of the body's height, measured on adults in front of a Kinect.
_PROPORTIONS = {
    "waist": 0.037,  # hip centre to spine
    "back": 0.188,  # spine to shoulder centre
    "neck": 0.112,  # shoulder centre to head
    "shoulder": 0.112,
    "upper_arm": 0.148,
    "forearm": 0.135,
    "hand": 0.047,
    "hip": 0.058,
    "thigh": 0.238,
    "shin": 0.222,
    "foot": 0.055,
}


@dataclass(frozen=True)
class Body:
    """Bone lengths of N bodies: (N,) each, in metres."""

    waist: Array
    back: Array
    neck: Array
    shoulder: Array
    upper_arm: Array
    forearm: Array
    hand: Array
    hip: Array
    thigh: Array
    shin: Array
    foot: Array

    @staticmethod
    def of_height(height_n: Array, build_nb: Array) -> "Body":
        """Return bodies of heights (N,), in metres, with a factor for each bone (N, 11)."""
        lengths = {
            bone: share * height_n * build_nb[:, column]
            for column, (bone, share) in enumerate(_PROPORTIONS.items())
        }
        return Body(**lengths)

    @staticmethod
    def num_bones() -> int:
        """Return the number of factors that a build has."""
        return len(_PROPORTIONS)

    @property
    def arm(self) -> Array:
        """Length from shoulder to wrist, (N,)."""
        return self.upper_arm + self.forearm

    @property
    def leg(self) -> Array:
        """Length from hip to ankle, (N,)."""
        return self.thigh + self.shin


@dataclass
class Pose:
    """Poses of N figures in T frames. Start from `standing` and change what moves.

    Attributes:
        pelvis: (N, T, 3) position of the hip centre, in leg lengths.
        turn: (N, T) heading, in radians; positive to the left.
        tilt: (N, T) forward lean of the pelvis, in radians; at pi / 2 the figure lies on its face.
        bend: (N, T) forward bend of the back over the pelvis, in radians.
        roll: (N, T) lean of the back to the right, in radians.
        twist: (N, T) rotation of the shoulders to the left over the pelvis, in radians.
        nod: (N, T) forward bend of the head, in radians.
        look: (N, T) rotation of the head to the left, in radians.
        hands: (N, T, 2, 3) positions of the wrists from the shoulder centre, in the shoulders'
            frame and in arm lengths.
        elbows: (N, T, 2) outward lift of the elbows, from 0 (hanging) to 1 (level).
        feet: (N, T, 2, 3) positions of the ankles in the world, in leg lengths.
    """

    pelvis: Array
    turn: Array
    tilt: Array
    bend: Array
    roll: Array
    twist: Array
    nod: Array
    look: Array
    hands: Array
    elbows: Array
    feet: Array

    @staticmethod
    def standing(num_clips: int, num_frames: int) -> "Pose":
        """Return figures that stand upright with hanging arms."""

        def zero() -> Array:
            return np.zeros((num_clips, num_frames))

        pose = Pose(
            pelvis=np.zeros((num_clips, num_frames, 3)),
            turn=zero(), tilt=zero(), bend=zero(), roll=zero(), twist=zero(), nod=zero(),
            look=zero(),
            hands=np.zeros((num_clips, num_frames, 2, 3)),
            elbows=np.full((num_clips, num_frames, 2), 0.25),
            feet=np.zeros((num_clips, num_frames, 2, 3)),
        )  # fmt: skip
        pose.pelvis[..., 1] = 1.22
        pose.hands[:] = np.stack([0.48 * SIDES, np.full(2, -0.95), np.full(2, 0.12)], -1)
        pose.feet[:] = np.stack([0.17 * SIDES, np.full(2, 0.11), np.zeros(2)], -1)
        return pose


def joint_positions(pose: Pose, body: Body) -> Array:
    """Return the joints' positions (N, T, 20, 3), in metres and in layout `kinect_v1_20`."""
    up = np.array([0.0, 1.0, 0.0])
    forward = np.array([0.0, 0.0, 1.0])
    turn_ntcc = _about_y(pose.turn)
    pelvis_ntcc = turn_ntcc @ _about_x(pose.tilt)
    chest_ntcc = (
        turn_ntcc @ _about_y(pose.twist) @ _about_x(pose.tilt + pose.bend) @ _about_z(pose.roll)
    )
    head_ntcc = chest_ntcc @ _about_y(pose.look) @ _about_x(pose.nod)

    hip_centre = pose.pelvis * body.leg[:, None, None]
    spine = hip_centre + _along(pelvis_ntcc, up, body.waist)
    shoulder_centre = spine + _along(chest_ntcc, up, body.back)
    head = shoulder_centre + _along(head_ntcc, np.array([0.0, 0.98, 0.2]), body.neck)
    joints = [hip_centre, spine, shoulder_centre, head]

    for side, sign in enumerate(SIDES):
        shoulder = shoulder_centre + _along(chest_ntcc, np.array([sign, -0.1, 0.0]), body.shoulder)
        reach = _apply(chest_ntcc, pose.hands[:, :, side]) * body.arm[:, None, None]
        raised = pose.elbows[:, :, side, None] * (np.pi / 2)
        hanging = np.array([0.25 * sign, -1.0, -0.45])
        level = np.array([sign, 0.1, -0.25])
        pole = _apply(chest_ntcc, np.cos(raised) * hanging + np.sin(raised) * level)
        elbow, wrist = _two_bones(
            shoulder, shoulder_centre + reach, pole, body.upper_arm, body.forearm
        )
        hand = wrist + _unit(wrist - elbow) * body.hand[:, None, None]
        joints += [shoulder, elbow, wrist, hand]

    for side, sign in enumerate(SIDES):
        hip = hip_centre + _along(pelvis_ntcc, np.array([sign, -0.35, 0.0]), body.hip)
        target = pose.feet[:, :, side] * body.leg[:, None, None]
        pole = _apply(pelvis_ntcc, np.array([0.12 * sign, 0.1, 1.0]))
        knee, ankle = _two_bones(hip, target, pole, body.thigh, body.shin)
        ahead = _apply(turn_ntcc, forward + 0.35 * up + np.array([0.2 * sign, 0.0, 0.0]))
        shin = _unit(ankle - knee)
        toes = _unit(ahead - (ahead * shin).sum(-1, keepdims=True) * shin + 0.25 * shin)
        joints += [hip, knee, ankle, ankle + toes * body.foot[:, None, None]]
    return np.stack(joints, axis=2)


def _two_bones(
    root: Array, target: Array, pole: Array, first: Array, second: Array
) -> tuple[Array, Array]:
    """Return the middle and the end (N, T, 3) of a limb that reaches for a target.

    Args:
        root: (N, T, 3) start of the limb.
        target: (N, T, 3) position to reach; the limb points at one that is out of reach.
        pole: (N, T, 3) direction towards which the limb bends.
        first: (N,) length of the bone from root to middle, in metres.
        second: (N,) length of the bone from middle to end, in metres.
    """
    first_nt1, second_nt1 = first[:, None, None], second[:, None, None]
    offset = target - root
    distance = np.linalg.norm(offset, axis=-1, keepdims=True)
    direction = offset / np.maximum(distance, 1e-6)
    distance = np.clip(
        distance, np.abs(first_nt1 - second_nt1) + 0.05, 0.995 * (first_nt1 + second_nt1)
    )
    cosine = (first_nt1**2 + distance**2 - second_nt1**2) / (2 * first_nt1 * distance)
    cosine = np.clip(cosine, -1.0, 1.0)
    across = _unit(pole - (pole * direction).sum(-1, keepdims=True) * direction)
    middle = root + first_nt1 * (direction * cosine + across * np.sqrt(1 - cosine**2))
    return middle, root + direction * distance


def _along(rotation_ntcc: Array, direction: Array, length: Array) -> Array:
    """Return a bone: a direction, rotated, times a length (N,)."""
    return _apply(rotation_ntcc, direction) * length[:, None, None]


def _apply(rotation_ntcc: Array, vector: Array) -> Array:
    return (rotation_ntcc @ np.broadcast_to(vector, rotation_ntcc.shape[:-1])[..., None])[..., 0]


def _unit(vector: Array) -> Array:
    unit: Array = vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-6)
    return unit


def about_axis(angle: Array, axis: int) -> Array:
    """Return right-handed rotations (..., 3, 3) by angles (...), in radians, about x, y or z."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    rotation = np.zeros((*angle.shape, 3, 3))
    rotation[..., axis, axis] = 1.0
    rotation[..., first, first] = rotation[..., second, second] = np.cos(angle)
    rotation[..., second, first] = np.sin(angle)
    rotation[..., first, second] = -rotation[..., second, first]
    return rotation


def _about_x(angle: Array) -> Array:
    return about_axis(angle, 0)


def _about_y(angle: Array) -> Array:
    return about_axis(angle, 1)


def _about_z(angle: Array) -> Array:
    return about_axis(angle, 2)
