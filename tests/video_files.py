"""Writes small videos; their images say by their grey which they are."""

import io
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

STEP = 8  # of grey, from one image to the next: more than the codec loses


def numbered(frames: int, width: int = 64, height: int = 48) -> list[NDArray[np.uint8]]:
    """Images of one grey each: image i is STEP * (i + 1) throughout."""
    return [np.full((height, width, 3), STEP * (i + 1), np.uint8) for i in range(frames)]


def number_of(image: NDArray[np.uint8]) -> int:
    """Which of `numbered` an image is, after any loss."""
    return round(float(image.mean()) / STEP) - 1


def video(images: list[NDArray[np.uint8]], rate: int = 30, kind: str = "avi") -> bytes:
    """MPEG-4 in an AVI, as most data sets have."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as out:
        stream = out.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for image in images:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode())
    return file.getvalue()


def decoded(jpeg: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(jpeg)))


def own_files(folder: Path) -> str:
    """A table of clips: one with video and pixels, others that lack something."""
    random = np.random.default_rng(2)
    joints = random.normal(size=(2, 8, 20, 3)).astype(np.float32)
    pixels = random.uniform(10, 40, size=(2, 8, 20, 2))
    np.savez(folder / "a.npz", joints=joints, pixels=pixels)
    np.save(folder / "b.npy", joints[0])
    (folder / "a.avi").write_bytes(video(numbered(16)))
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
