"""One action of the synthetic data set, performed by a subject in each of N clips.

Axes: N clips, M bodies, T frames of the longest clip, V joints.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.sources.synthetic.actions import Act, Action
from hhmnet_core.sources.synthetic.figure import Array, Body, Pose, joint_positions
from hhmnet_core.sources.synthetic.motion import Motion
from hhmnet_core.sources.synthetic.sensor import Index, sense, shorten_some, to_camera
from hhmnet_core.sources.synthetic.subjects import NUM_SUBJECTS, Subjects, add_idle_motion

FRAMES_PER_SECOND = 20.0
MIN_FRAMES, MAX_FRAMES = 8, 120


@dataclass(frozen=True)
class Performance:
    """N clips of an action.

    Attributes:
        true: (N, M, T, V, 3) joints in camera coordinates, in metres.
        sensed: (N, M, T, V, 3) float32, the same joints as the sensor records them.
        first: (N,) first frame of each clip.
        frames: (N,) number of frames of each clip.
        up: (N, 3) upward direction in camera coordinates.
        floor: (N,) height of the floor along it, in metres.
        people: (N, M) subject of each body, from 0.
        side: (N,) preferred hand of the actor, 0 (left) or 1 (right).
    """

    true: Array
    sensed: NDArray[np.float32]
    first: Index
    frames: Index
    up: Array
    floor: Array
    people: Index
    side: Index


def perform(
    action: Action,
    subjects: Subjects,
    subject_n: Index,
    camera_n: Index,
    random: np.random.Generator,
) -> Performance:
    """Perform an action once per clip.

    Args:
        action: The action.
        subjects: The traits of all subjects.
        subject_n: (N,) subject of each clip, from 0.
        camera_n: (N,) camera of each clip, from 0.
        random: Draws what differs between clips.
    """
    num_clips = len(subject_n)
    frames_n, phase_nt = _draw_timing(action.seconds, subjects.tempo[subject_n], random)
    figure, side_n = _move_figure(action.act, subjects, subject_n, phase_nt, random)
    figures, people = [figure], [subject_n]
    if action.partner:
        other_n = (subject_n + random.integers(1, NUM_SUBJECTS, num_clips)) % NUM_SUBJECTS
        partner, _ = _move_figure(action.partner, subjects, other_n, phase_nt, random)
        figures.append(_face_actor(partner, random.uniform(0.85, 1.25, num_clips)))
        people.append(other_n)
    world_nmtvc, people_nm = np.stack(figures, axis=1), np.stack(people, axis=1)
    if action.partner:
        # The sensor numbers bodies in the order in which it finds them.
        swapped_n = random.random(num_clips) < 0.5
        world_nmtvc[swapped_n] = world_nmtvc[swapped_n, ::-1]
        people_nm[swapped_n] = people_nm[swapped_n, ::-1]
    true_nmtvc, up_nc, floor_n = to_camera(world_nmtvc, camera_n, random)
    sensed_nmtvc = sense(true_nmtvc, frames_n, random).astype(np.float32)
    first_n = shorten_some(frames_n, random)
    return Performance(
        true_nmtvc, sensed_nmtvc, first_n, frames_n, up_nc, floor_n, people_nm, side_n
    )


def _draw_timing(
    seconds: float, tempo_n: Array, random: np.random.Generator
) -> tuple[Index, Array]:
    """Return the number of frames of each clip (N,), and the phases (N, T) of the action."""
    num_clips = len(tempo_n)
    seconds_n = seconds * random.uniform(0.6, 1.6, num_clips) / tempo_n
    frames_n = np.rint(seconds_n * FRAMES_PER_SECOND).clip(MIN_FRAMES, MAX_FRAMES).astype(np.int64)
    time_nt = np.arange(frames_n.max()) / (frames_n[:, None] - 1)
    begin_n1 = random.uniform(0.0, 0.25, (num_clips, 1))
    end_n1 = random.uniform(0.75, 1.0, (num_clips, 1))
    phase_nt = np.clip((time_nt - begin_n1) / (end_n1 - begin_n1), 0.0, 1.0)
    return frames_n, phase_nt ** random.uniform(0.65, 1.5, (num_clips, 1))


def _move_figure(
    act: Act,
    subjects: Subjects,
    subject_n: Index,
    phase_nt: Array,
    random: np.random.Generator,
) -> tuple[Array, Index]:
    """Return one body per clip doing an action, (N, T, V, 3), and its preferred hand, (N,)."""
    num_clips, num_frames = phase_nt.shape
    left_n = subjects.left_handed[subject_n] ^ (random.random(num_clips) < 0.05)
    motion = Motion(
        random=random,
        phase=phase_nt,
        vigour=subjects.vigour[subject_n, None] * random.uniform(0.8, 1.2, (num_clips, 1)),
        dominant=np.where(left_n, 0, 1),
    )
    pose = Pose.standing(num_clips, num_frames)
    add_idle_motion(pose, motion, subjects, subject_n)
    act(pose, motion)
    body = Body.of_height(subjects.height[subject_n], subjects.build[subject_n])
    return joint_positions(pose, body), motion.dominant


def _face_actor(joints_ntvc: Array, distance_n: Array) -> Array:
    """Turn a partner around and move it in front of the actor."""
    offset = np.stack([np.zeros_like(distance_n), np.zeros_like(distance_n), distance_n], -1)
    turned: Array = joints_ntvc * np.array([-1.0, 1.0, -1.0]) + offset[:, None, None]
    return turned
