"""The subjects of the synthetic data set, and how they stand between actions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.sources.synthetic.figure import SIDES, Array, Body, Pose
from hhmnet_core.sources.synthetic.motion import Motion
from hhmnet_core.sources.synthetic.sensor import Index

NUM_SUBJECTS = 10


@dataclass(frozen=True)
class Subjects:
    """The traits of S subjects.

    Attributes:
        height: (S,) metres.
        build: (S, bones) factor on the length of each bone.
        tempo: (S,) factor on the speed of movements.
        vigour: (S,) factor on the size of movements.
        stoop: (S,) forward bend of the back, in radians.
        stance: (S,) additional distance of each foot from the middle, in leg lengths.
        left_handed: (S,) true for left-handed subjects.
    """

    height: Array
    build: Array
    tempo: Array
    vigour: Array
    stoop: Array
    stance: Array
    left_handed: NDArray[np.bool_]


def draw_subjects(random: np.random.Generator) -> Subjects:
    """Draw the subjects of a data set."""
    return Subjects(
        height=np.linspace(1.5, 1.95, NUM_SUBJECTS)[random.permutation(NUM_SUBJECTS)],
        build=random.uniform(0.9, 1.1, (NUM_SUBJECTS, Body.num_bones())),
        tempo=random.uniform(0.8, 1.3, NUM_SUBJECTS),
        vigour=random.uniform(0.75, 1.25, NUM_SUBJECTS),
        stoop=random.uniform(-0.05, 0.2, NUM_SUBJECTS),
        stance=random.uniform(0.0, 0.12, NUM_SUBJECTS),
        left_handed=np.isin(np.arange(NUM_SUBJECTS), random.choice(NUM_SUBJECTS, 2, replace=False)),
    )


def add_idle_motion(pose: Pose, motion: Motion, subjects: Subjects, subject_n: Index) -> None:
    """Change standing figures, in place, to the posture, sway and idle hands of their subjects.

    Args:
        pose: The standing figures of N clips.
        motion: The circumstances of the clips.
        subjects: The traits of all subjects.
        subject_n: (N,) subject of each clip, from 0.
    """
    random, shape = motion.random, motion.phase.shape

    def slow(size: float, *more: int) -> Array:
        """Draw the sum of two slow sines of random size, rate and phase, (N, T, *more)."""
        time = motion.phase.reshape(*shape, *(1 for _ in more))
        total: Array = np.zeros((*shape, *more))
        for fastest in (1.5, 3.0):
            clips = (shape[0], 1, *more)
            rate, offset = random.uniform(0.3, fastest, clips), random.uniform(0.0, 2.0, clips)
            total += size * random.normal(0.0, 0.6, clips) * np.sin(np.pi * (rate * time + offset))
        return total

    pose.turn += motion.draw(-0.15, 0.15) + slow(0.15)
    pose.bend += subjects.stoop[subject_n, None] + motion.draw(-0.05, 0.1) + slow(0.03)
    pose.roll += slow(0.03)
    pose.twist += slow(0.06)
    pose.nod += motion.draw(-0.1, 0.25) + slow(0.06)
    pose.look += motion.draw(-0.3, 0.3) + slow(0.15)
    drift = slow(0.12, 2)
    pose.pelvis[..., ::2] += drift + slow(0.01, 2)
    pose.feet[..., ::2] += drift[:, :, None]
    pose.pelvis[..., 1] -= motion.draw(0.0, 0.03)
    stance = subjects.stance[subject_n, None] + motion.draw(0.0, 0.06)
    pose.feet[..., 0] += stance[..., None] * SIDES
    pose.feet[..., 2] += random.normal(0.0, 0.06, (shape[0], 1, 2))
    pose.hands += random.normal(0.0, 0.05, (shape[0], 1, 2, 3)) + slow(0.035, 2, 3)
    # Some hands rest on the hip or before the belly, or gesture.
    busy = random.random((shape[0], 1, 2, 1)) < 0.5
    goal = random.uniform([-0.15, -0.7, 0.1], [0.15, -0.2, 0.5], (shape[0], 1, 2, 3))
    goal[..., 0] += 0.35 * SIDES
    amount = 0.5 + 0.5 * np.clip(slow(1.5, 2, 1), -1.0, 1.0)
    pose.hands += busy * amount * (goal - pose.hands)
