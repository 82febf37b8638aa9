"""The depth camera of the synthetic data: its viewpoints, noise and lost joints.

Axes: N clips, M bodies, T frames, V joints, C coordinates.
"""

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.sources.synthetic.figure import Array, about_axis

Index = NDArray[np.int64]

_SHORT_CLIPS = 0.01  # share of clips of which the sensor recorded 1 to 5 frames only
_HEIGHT = 0.9  # of the camera, in metres
_YAW = np.radians([-40.0, 35.0, 5.0])
_PITCH = np.radians([8.0, 3.0, 14.0])
_DISTANCE = np.array([2.6, 3.0, 2.8])  # metres
NUM_CAMERAS = len(_YAW)


def to_camera(
    world_nmtvc: Array, camera_n: Index, random: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Transform figures to camera coordinates, as the Kinect has them: z points away from it.

    Args:
        world_nmtvc: (N, M, T, V, 3) joints in the figures' world, in metres.
        camera_n: (N,) camera of each clip, from 0.
        random: Draws the deviations of viewpoint and distance.

    Returns:
        The joints (N, M, T, V, 3), the upward direction (N, 3), and the height (N,) of the floor
        along it.
    """
    num_clips = len(camera_n)
    # People face the camera only roughly.
    yaw_n = _YAW[camera_n] + random.uniform(-0.7, 0.7, num_clips)
    pitch_n = _PITCH[camera_n] + random.normal(0.0, 0.04, num_clips)
    facing_ncc = about_axis(pitch_n, 0) @ about_axis(np.pi + yaw_n, 1)
    axis = np.array([0.0, _HEIGHT, 0.0])
    joints: Array = np.einsum("ncd,nmtvd->nmtvc", facing_ncc, world_nmtvc - axis)
    distance_n = _DISTANCE[camera_n] + random.normal(0.0, 0.2, num_clips)
    aside_n, above_n = random.normal(0.0, 0.15, (2, num_clips))
    offset_nc = np.stack([aside_n, above_n, distance_n], -1)
    joints += offset_nc[:, None, None, None]
    up_nc = facing_ncc[:, :, 1]
    return joints, up_nc, (offset_nc * up_nc).sum(-1) - _HEIGHT


def sense(true_nmtvc: Array, frames_n: Index, random: np.random.Generator) -> Array:
    """Return what the sensor records: noisier joints at the ends of limbs, and lost joints.

    Args:
        true_nmtvc: (N, M, T, V, 3) joints in camera coordinates, in metres.
        frames_n: (N,) number of frames of each clip.
        random: Draws noise and losses.
    """
    num_clips, num_bodies, num_frames, num_joints, _ = true_nmtvc.shape
    grain_v = np.full(num_joints, 0.006)
    grain_v[[6, 7, 10, 11, 14, 15, 18, 19]] = 0.014
    grain = random.uniform(0.6, 1.6, (num_clips, 1, 1, 1, 1)) * grain_v[:, None]
    joints = true_nmtvc + grain * random.normal(size=true_nmtvc.shape)
    # A lost joint stays at its last position, with the error of a guess.
    clip_n, time_t = np.arange(num_clips)[:, None], np.arange(num_frames)
    for body in range(num_bodies):
        for _ in range(2):
            lost_n = random.integers(0, num_joints, size=(num_clips,))
            since_n = (random.random(num_clips) * frames_n).astype(np.int64)
            length_n = random.exponential(0.12, num_clips) * frames_n
            happens_n = random.random(num_clips) < 0.5
            guess_nc = random.normal(0.0, 0.06, (num_clips, 3))
            until_n = since_n + np.where(happens_n, length_n, 0.0)
            lost_nt = (time_t >= since_n[:, None]) & (time_t < until_n[:, None])
            last_nc = joints[np.arange(num_clips), body, since_n, lost_n] + guess_nc
            true_ntc = joints[clip_n, body, time_t, lost_n[:, None]]
            joints[clip_n, body, time_t, lost_n[:, None]] = np.where(
                lost_nt[:, :, None], last_nc[:, None], true_ntc
            )
    # A tenth of a millimetre is finer than the sensor, but coarser than the differences between
    # two processors' sines: the store's digest is the same on both.
    rounded: Array = np.round(joints, 4)
    return rounded


def shorten_some(frames_n: Index, random: np.random.Generator) -> Index:
    """Shorten a few clips to 1 to 5 frames, in place, and return each clip's first frame (N,)."""
    short_n = random.random(len(frames_n)) < _SHORT_CLIPS
    kept_n = np.where(short_n, random.integers(1, 6, len(frames_n)), frames_n)
    first_n = ((frames_n - kept_n) * random.uniform(0.3, 0.6, len(frames_n))).astype(np.int64)
    frames_n[:] = kept_n
    return np.where(short_n, first_n, 0)
