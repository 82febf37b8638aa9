"""Writes the small store that the committed workspace of version 0.1.0 was trained on.

It runs on that version's modules (see README.md beside it), not on today's.
"""

import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from hhmnet_core.data.clips import Clip, Video
from hhmnet_core.data.manifest import Protocol, Visual
from hhmnet_core.data.parts import Plan, finish, make_part
from hhmnet_core.data.video import even_positions
from hhmnet_core.data.writing import About
from PIL import Image

from hhmnet_core.files import folder
from hhmnet_core.skeleton.layouts import get_layout

IMAGES, SIZE = 2, 16


class Clips:
    """24 clips of three classes, two of them without video."""

    names = tuple(f"{number:02d}" for number in range(24))

    def clip(self, name: str) -> Clip:
        number = int(name)
        random = np.random.default_rng(number)
        label, frames = number % 3, int(random.integers(6, 10))
        pose = np.round(8 * random.normal(size=(1, 1, 20, 3))) / 8
        joints = np.tile(pose, (1, frames, 1, 1))
        joints[:, :, 4:12, 1] += label * np.arange(frames)[:, None] / 4
        camera = 1 + number // 15
        clip = Clip(f"clip{name}", label, 1 + number // 3 % 3, camera, 0, joints.astype(np.float32))
        if number in (4, 22):
            return replace(clip, no_video="not found")
        places = np.round(random.uniform(0.1, 0.9, (1, IMAGES, 20, 2)) * 16) / 16
        files = []
        for at in range(IMAGES):
            image = np.zeros((SIZE, SIZE, 3), np.uint8)
            for x, y in (SIZE * places[:, at].reshape(-1, 2)).astype(int):
                image[y - 1 : y + 1, x - 1 : x + 1, label] = 255
            file = io.BytesIO()
            Image.fromarray(image).save(file, "JPEG", quality=60)
            files.append(file.getvalue())
        positions = even_positions(frames, IMAGES)
        return replace(clip, video=Video(tuple(files), positions, places.astype(np.float32)))


def main(store: Path) -> None:
    about = About(
        "example",
        get_layout("kinect_v1_20"),
        ("red", "green", "blue"),
        {"cross-view": Protocol(train={"camera": [1]}, test={"camera": [2]})},
        {"made": "by tests/examples/make_store.py"},
        Visual("rgb", IMAGES, SIZE),
    )
    place, plan = folder(store), Plan(about, Clips.names, 24)
    finish(place, plan, [make_part(place, plan, Clips(), 0, "fail")], {})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
