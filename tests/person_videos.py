"""Videos of a real person: the astronaut of scikit-image (NASA, public domain), moved about."""

import io
from functools import cache

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE = 320  # pixels of the picture's side in the videos
NOSE = (226 / 512, 128 / 512)  # in shares of the picture
BACKGROUND = 128


@cache
def astronaut(size: int = SIZE) -> NDArray[np.uint8]:
    """Return the picture, (size, size, 3)."""
    from skimage.data import astronaut as picture

    small = np.array(Image.fromarray(picture()).resize((size, size), Image.Resampling.LANCZOS))
    small.flags.writeable = False
    return small


def scene(*corners: tuple[int, int], width: int = 480, height: int = 360) -> NDArray[np.uint8]:
    """Return an image with the picture at each upper left corner (x, y)."""
    image = np.full((height, width, 3), BACKGROUND, np.uint8)
    for x, y in corners:
        image[y : y + SIZE, x : x + SIZE] = astronaut()
    return image


def moving(count: int, step: int = 4, start: int = 8) -> list[NDArray[np.uint8]]:
    """Return images in which the person moves to the right, by some pixels each."""
    return [scene((start + step * number, 30)) for number in range(count)]


def encode(images: list[NDArray[np.uint8]], rate: int = 25) -> bytes:
    """Return images as an H.264 video in an MP4 file."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=rate, options={"crf": "18", "preset": "veryfast"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in images:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode())
    return file.getvalue()


def sound() -> bytes:
    """Return an MP4 file of a second of silence, without images."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=44_100)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 44_100), np.float32), format="fltp", layout="mono"
        )
        frame.rate = 44_100
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return file.getvalue()
