"""`.skeleton` files in the format of NTU RGB+D, and a plain parser for them."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

JOINTS = 25
FIRST_ID = 72057594037931101


def standing_body(random: np.random.Generator, frames: int, x: float = 0.0) -> NDArray[np.float64]:
    """Return the joints (T, 25, 3) of an upright body at x metres that sways, 3 m away."""
    height = np.linspace(0.75, -0.85, JOINTS)
    pose = np.stack([np.sin(np.arange(JOINTS)) * 0.2 + x, height, np.full(JOINTS, 3.0)], 1)
    sway = 0.1 * np.sin(np.arange(frames) / 5)[:, None] * random.uniform(0, 1, JOINTS)
    joints = np.repeat(pose[None], frames, 0)
    joints[:, :, 0] += sway
    return joints + random.normal(0, 0.004, joints.shape)


@dataclass
class Track:
    """A body as the sensor tracks it: first frame, joints (T, 25, 3), number, frames it is lost."""

    start: int
    joints: NDArray[np.float64]
    number: int = 0
    gaps: tuple[int, ...] = ()


@dataclass
class SkeletonFile:
    """The content of a `.skeleton` file."""

    frames: int
    tracks: list[Track] = field(default_factory=list)

    def text(self) -> str:
        """Return the file as the sensor's software writes it."""
        lines = [str(self.frames)]
        for frame in range(self.frames):
            tracks = [
                t
                for t in self.tracks
                if t.start <= frame < t.start + len(t.joints) and frame not in t.gaps
            ]
            lines.append(str(len(tracks)))
            for track in tracks:
                lines.append(f"{FIRST_ID + track.number} 0 1 1 1 1 0 -0.1094 0.03365 2")
                lines.append(str(JOINTS))
                for x, y, z in track.joints[frame - track.start]:
                    u, v = 960 + 1060 * x / z, 540 - 1060 * y / z
                    numbers = (x, y, z, u / 4 + 16, v / 2.5, u, v, -0.2059, 0.0535, 0.9692, -0.1239)
                    lines.append(" ".join(f"{n:.7g}" for n in numbers) + " 2")
        return "\r\n".join(lines) + "\r\n"


def clip_name(
    setup: int = 1, camera: int = 1, performer: int = 1, replication: int = 1, action: int = 1
) -> str:
    """Return the name of a clip."""
    return f"S{setup:03}C{camera:03}P{performer:03}R{replication:03}A{action:03}"


def parse_plainly(text: str) -> dict[str, list[tuple[int, list[list[float]]]]]:
    """Return, by body id, pairs of a frame and 25 rows of x, y, z, colorX, colorY."""
    lines = iter(text.split("\n"))
    bodies: dict[str, list[tuple[int, list[list[float]]]]] = {}
    for frame in range(int(next(lines))):
        for _ in range(int(next(lines))):
            body = next(lines).split()[0]
            rows = []
            for _ in range(int(next(lines))):
                fields = [float(value) for value in next(lines).split()]
                rows.append([*fields[:3], *fields[5:7]])
            bodies.setdefault(body, []).append((frame, rows))
    return bodies
