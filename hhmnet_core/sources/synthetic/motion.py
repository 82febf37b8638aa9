"""The course of a motion over time, and what differs between the clips of an action."""

from dataclasses import dataclass

import numpy as np

from hhmnet_core.sources.synthetic.figure import Array


@dataclass
class Motion:
    """The circumstances of N clips of T frames of one action.

    Attributes:
        random: Draws what differs between clips.
        phase: (N, T) progress of the action, from 0 to 1.
        vigour: (N, 1) size of the actor's movements, around 1.
        dominant: (N,) preferred side of the actor, 0 (left) or 1 (right).
    """

    random: np.random.Generator
    phase: Array
    vigour: Array
    dominant: np.ndarray

    def draw(self, low: float, high: float) -> Array:
        """Draw one number per clip from U[low, high), (N, 1)."""
        return self.random.uniform(low, high, (len(self.phase), 1))

    def rise(self, start: float, stop: float) -> Array:
        """Return a smooth rise from 0 to 1 between roughly these phases, (N, T)."""
        start_n1 = start + self.draw(-0.04, 0.04)
        stop_n1 = np.maximum(stop + self.draw(-0.04, 0.04), start_n1 + 0.03)
        along = np.clip((self.phase - start_n1) / (stop_n1 - start_n1), 0.0, 1.0)
        return along * along * (3 - 2 * along)

    def hold(self, start: float, reached: float, left: float, stop: float) -> Array:
        """Return a rise from 0 to 1 (`start` to `reached`) and back (`left` to `stop`), (N, T)."""
        return np.minimum(self.rise(start, reached), 1 - self.rise(left, stop))

    def wave(self, cycles: Array) -> Array:
        """Return a sine of so many (N, 1) cycles over the action, (N, T)."""
        return np.sin(2 * np.pi * (cycles * self.phase + self.draw(0, 1)))


def point(x: Array | float, y: Array | float, z: Array | float) -> Array:
    """Stack coordinates (N, T or 1), or numbers, to points (N, T or 1, 3)."""
    coordinates = np.broadcast_arrays(*(np.atleast_2d(value) for value in (x, y, z)))
    return np.stack(coordinates, axis=-1)


def blend(points: Array, goal: Array, amount: Array) -> Array:
    """Move points (..., 3) towards a goal by amounts (...) from 0 to 1."""
    return points + (goal - points) * amount[..., None]
