"""How a depth camera sees the figures of the synthetic data: from where, and how badly."""

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.sources.synthetic.figure import Array, about_axis

Index = NDArray[np.int64]

_SHORT = 0.01  # share of the clips of which the sensor caught only a glimpse, 1 to 5 frames
_HEIGHT = 0.9  # metres
_YAW = np.radians([-40.0, 35.0, 5.0])
_PITCH = np.radians([8.0, 3.0, 14.0])
_DISTANCE = np.array([2.6, 3.0, 2.8])
NUM_CAMERAS = len(_YAW)


def before_camera(
    world_nmtvc: Array, camera_n: Index, random: np.random.Generator
) -> tuple[Array, Array, Array]:
    """The figures in the camera's coordinates: x and z as the Kinect has them, z away from it.

    Returns:
        They, the direction (N, 3) that is up, and the floor's height (N,) along it.
    """
    num_clips = len(camera_n)
    # People face the camera's stand only roughly.
    yaw_n = _YAW[camera_n] + random.uniform(-0.7, 0.7, num_clips)
    pitch_n = _PITCH[camera_n] + random.normal(0.0, 0.04, num_clips)
    facing_ncc = about_axis(pitch_n, 0) @ about_axis(np.pi + yaw_n, 1)
    axis = np.array([0.0, _HEIGHT, 0.0])
    real: Array = np.einsum("ncd,nmtvd->nmtvc", facing_ncc, world_nmtvc - axis)
    distance_n = _DISTANCE[camera_n] + random.normal(0.0, 0.2, num_clips)
    aside_n, above_n = random.normal(0.0, 0.15, (2, num_clips))
    way_nc = np.stack([aside_n, above_n, distance_n], -1)
    real += way_nc[:, None, None, None]
    up_nc = facing_ncc[:, :, 1]
    return real, up_nc, (way_nc * up_nc).sum(-1) - _HEIGHT


def sensed(real_nmtvc: Array, frames_n: Index, random: np.random.Generator) -> Array:
    """What the sensor makes of it: noise, more of it far out on the limbs, and lost joints."""
    num_clips, num_bodies, num_frames, num_joints, _ = real_nmtvc.shape
    grain_v = np.full(num_joints, 0.006)
    grain_v[[6, 7, 10, 11, 14, 15, 18, 19]] = 0.014
    grain = random.uniform(0.6, 1.6, (num_clips, 1, 1, 1, 1)) * grain_v[:, None]
    joints = real_nmtvc + grain * random.normal(size=real_nmtvc.shape)
    # A lost joint stays where it was last seen, or is guessed some way off.
    clip_n, time_t = np.arange(num_clips)[:, None], np.arange(num_frames)
    for body in range(num_bodies):
        for _ in range(2):
            lost_n = random.integers(0, num_joints, size=(num_clips,))
            since_n = (random.random(num_clips) * frames_n).astype(np.int64)
            length_n = random.exponential(0.12, num_clips) * frames_n
            happens_n = random.random(num_clips) < 0.5
            guess_nc = random.normal(0.0, 0.06, (num_clips, 3))
            until_n = since_n + np.where(happens_n, length_n, 0.0)
            gone_nt = (time_t >= since_n[:, None]) & (time_t < until_n[:, None])
            last_nc = joints[np.arange(num_clips), body, since_n, lost_n] + guess_nc
            true_ntc = joints[clip_n, body, time_t, lost_n[:, None]]
            joints[clip_n, body, time_t, lost_n[:, None]] = np.where(
                gone_nt[:, :, None], last_nc[:, None], true_ntc
            )
    # A tenth of a millimetre is finer than the sensor and coarser than what two processors'
    # sines differ by: the store's digest is the same on both.
    rounded: Array = np.round(joints, 4)
    return rounded


def glimpses(frames_n: Index, random: np.random.Generator) -> Index:
    """Shortens a few clips to 1 to 5 frames, in place, and says where each clip starts, (N,)."""
    short_n = random.random(len(frames_n)) < _SHORT
    kept_n = np.where(short_n, random.integers(1, 6, len(frames_n)), frames_n)
    first_n = ((frames_n - kept_n) * random.uniform(0.3, 0.6, len(frames_n))).astype(np.int64)
    frames_n[:] = kept_n
    return np.where(short_n, first_n, 0)
