"""Small files in the formats of PYSKL and of CTR-GCN's scripts."""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PADDED = 30  # frames


def annotations(
    names: Sequence[str] = tuple(f"v{n:02}" for n in range(24)),
    joints: int = 17,
    channels: int = 2,
    bodies: int = 1,
) -> dict[str, Any]:
    """Return an annotation file's content: two classes, every third clip for test."""
    random = np.random.default_rng(5)
    clips = []
    for number, name in enumerate(names):
        frames = 6 + number % 5
        shape = (bodies, frames, joints, channels)
        clip = {
            "frame_dir": name,
            "label": number % 2,
            "img_shape": (480, 640),
            "total_frames": frames,
            "keypoint": random.uniform(1, 400, shape).astype(np.float16),
        }
        if channels == 2:
            clip["keypoint_score"] = random.uniform(0.3, 1, shape[:3]).astype(np.float16)
        clips.append(clip)
    split = {
        "sub_train": [name for n, name in enumerate(names) if n % 3],
        "sub_val": [name for n, name in enumerate(names) if not n % 3],
    }
    return {"split": split, "annotations": clips}


def write_annotations(path: Path, content: object = None, protocol: int = 4) -> str:
    """Write an annotation file, and return its path."""
    path.write_bytes(pickle.dumps(annotations() if content is None else content, protocol))
    return str(path)


def padded_arrays(clips: int = 16) -> dict[str, NDArray[Any]]:
    """Return arrays as CTR-GCN's scripts write them: two classes, a quarter of the clips for test.

    Odd clips have two bodies. Each is centred on joint 1 of its first body's first frame.
    """
    random = np.random.default_rng(6)
    x = np.zeros((clips, PADDED, 2, 25, 3), np.float32)
    for number in range(clips):
        frames = 5 + number % 7
        x[number, :frames, : 1 + number % 2] = random.normal(size=(frames, 1 + number % 2, 25, 3))
        x[number, :frames, : 1 + number % 2] -= x[number, 0, 0, 1].copy()
    y = np.eye(2)[np.arange(clips) // 2 % 2]
    x = x.reshape(clips, PADDED, 150)
    tests = clips // 4
    return {"x_train": x[tests:], "y_train": y[tests:], "x_test": x[:tests], "y_test": y[:tests]}


def write_padded(path: Path, **changes: NDArray[Any] | None) -> str:
    """Write an .npz of `padded_arrays`, with changed arrays or (None) without, as a path."""
    arrays = {**padded_arrays(), **changes}
    np.savez(path, **{name: each for name, each in arrays.items() if each is not None})
    return str(path)
