"""Small videos whose images are recognised by their grey level, and data sets with videos."""

import io
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hhmnet_core.files import folder
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.sources.video_timing import even_positions
from hhmnet_core.store.building import StorePlan, build_shard, finish_store
from hhmnet_core.store.clips import Clip, Video
from hhmnet_core.store.manifest import Protocol, Visual
from hhmnet_core.store.writing import StoreDescription

STEP = 8  # grey levels from one image to the next; more than the codec loses


def numbered_images(frames: int, width: int = 64, height: int = 48) -> list[NDArray[np.uint8]]:
    """Return plain grey images; image i has level STEP * (i + 1)."""
    return [np.full((height, width, 3), STEP * (i + 1), np.uint8) for i in range(frames)]


def image_number(image: NDArray[np.uint8]) -> int:
    """Return the number of one of `numbered_images`, also after lossy compression."""
    return round(float(image.mean()) / STEP) - 1


def encode_video(images: list[NDArray[np.uint8]], rate: int = 30, kind: str = "avi") -> bytes:
    """Return images as an MPEG-4 video, by default in an AVI, as most data sets use."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as out:
        stream = out.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for image in images:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode())
    return file.getvalue()


def decode_jpeg(jpeg: bytes) -> NDArray[np.uint8]:
    """Return the image of a JPEG file."""
    return np.asarray(Image.open(io.BytesIO(jpeg)))


def write_own_data(folder: Path) -> str:
    """Write a table of clips and its files, and return its path.

    Clip a has video and pixels; the others lack pixels, a video, or a usable path of one.
    """
    random = np.random.default_rng(2)
    joints = random.normal(size=(2, 8, 20, 3)).astype(np.float32)
    pixels = random.uniform(10, 40, size=(2, 8, 20, 2))
    np.savez(folder / "a.npz", joints=joints, pixels=pixels)
    np.save(folder / "b.npy", joints[0])
    (folder / "a.avi").write_bytes(encode_video(numbered_images(16)))
    rows = (
        "a,wave,1,a.npz,a.avi",
        "b,wave,2,b.npy,a.avi",
        "c,clap,2,b.npy,",
        "d,clap,1,a.npz,no.avi",
        "e,clap,1,a.npz,.",
        "f,clap,1,a.npz,nobody://there/a.avi",
    )
    (folder / "clips.csv").write_text(
        "\n".join(("sample_id,label,subject,skeleton,video", *rows)) + "\n"
    )
    return str(folder / "clips.csv")


class VideoClips:
    """54 clips of three classes, similar in their skeletons and distinct in their images' colours.

    Every ninth clip has no video.
    """

    names = tuple(f"{number:02d}" for number in range(54))

    def clip(self, name: str) -> Clip:
        number = int(name)
        random = np.random.default_rng(number)
        label, bodies, frames = number % 3, 1 + number % 2, int(random.integers(8, 30))
        joints = np.tile(random.normal(size=(bodies, 1, 20, 3)), (1, frames, 1, 1))
        joints[:, :, 4:12, 1] += 2 * label * np.linspace(0, 1, frames)[:, None]
        clip = Clip(
            f"clip{name}", label, 1 + number // 3 % 3, 1 + number // 36, 0,
            joints.astype(np.float32),
        )  # fmt: skip
        if number % 9 == 8:
            return replace(clip, no_video="not found")
        positions_2d = random.uniform(0.1, 0.9, (bodies, 4, 20, 2)).astype(np.float32)
        files = []
        for at in range(4):
            image = random.integers(0, 80, (32, 32, 3)).astype(np.uint8)
            for x, y in (32 * positions_2d[:, at].reshape(-1, 2)).astype(int):
                image[y - 1 : y + 2, x - 1 : x + 2, label] = 255
            file = io.BytesIO()
            Image.fromarray(image).save(file, "JPEG", quality=95)
            files.append(file.getvalue())
        positions = even_positions(frames, 4)
        return replace(clip, video=Video(tuple(files), positions, positions_2d))


def write_video_store(path: Path) -> Path:
    """Write a store of `VideoClips`: 36 training clips of camera 1, 18 test clips of camera 2."""
    description = StoreDescription(
        "films",
        get_layout("kinect_v1_20"),
        ("red", "green", "blue"),
        {"cross-view": Protocol(train={"camera": [1]}, test={"camera": [2]})},
        {"made": "by the tests"},
        Visual("rgb", 4, 32),
    )
    store, plan = folder(path), StorePlan(description, VideoClips.names, 20)
    shards = [
        build_shard(store, plan, VideoClips(), number, "fail") for number in range(plan.num_shards)
    ]
    finish_store(store, plan, shards, {})
    return path
