"""Videos that draw the number of each image as bits, in the shapes that files of users have."""

import io
from collections.abc import Callable, Sequence
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

BITS, WIDTH, HEIGHT = 8, 96, 48


def bit_image(number: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """Return an image with the bits of a number as columns, and a bright upper left corner."""
    image = np.zeros((height, width, 3), np.uint8)
    column = width // BITS
    for bit in range(BITS):
        if number >> bit & 1:
            image[height // 3 :, bit * column : (bit + 1) * column] = 255
    image[: height // 3, : width // 2] = 255
    return image


def read_bits(image: NDArray[np.uint8]) -> int:
    """Return the number that an image shows."""
    height, column = image.shape[0], image.shape[1] // BITS
    lower = image[height // 2 : -2]
    return sum(
        int(lower[:, bit * column + 3 : (bit + 1) * column - 3].mean() > 128) << bit
        for bit in range(BITS)
    )


def encode_bits(
    count: int,
    times: Sequence[int] | None = None,
    rate: int = 30,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    kind: str = "mp4",
    aspect: Fraction | None = None,
) -> bytes:
    """Return a video with B-frames and a keyframe every 12 images.

    Args:
        count: Number of images.
        times: Time of each image in milliseconds. None: a constant rate.
        rate: Images per second.
        size: Width and height.
        kind: Format of the file.
        aspect: Width of a pixel by its height. None: not said.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as out:
        options = {"g": "12", "bf": "2", "sc_threshold": "0", "crf": "10"}
        stream = out.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p" if not (size[0] % 2 or size[1] % 2) else "yuv444p"
        if aspect:
            stream.sample_aspect_ratio = aspect
        if times:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(bit_image(number, *size), format="rgb24")
            if times:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return file.getvalue()


def remux(
    content: bytes,
    change: Callable[[int, "av.Packet", Fraction], bool],
    kind: str = "mp4",
    options: dict[str, str] | None = None,
) -> bytes:
    """Write the packets of a video again, without encoding; `change` edits one, and may drop it."""
    file = io.BytesIO()
    with (
        av.open(io.BytesIO(content)) as source,
        av.open(file, "w", format=kind, options=options or {}) as out,
    ):
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for number, packet in enumerate(source.demux(stream)):
            if packet.dts is not None and change(number, packet, Fraction(stream.time_base or 1)):
                packet.stream = copy
                out.mux(packet)
    return file.getvalue()


def trimmed(content: bytes, images: int, rate: int = 30) -> bytes:
    """Cut the first images off without encoding, as `ffmpeg -ss ... -c copy` does: by an edit list.

    The images from the keyframe before stay in the file, for decoding only.
    """

    def shift(number: int, packet: "av.Packet", unit: Fraction) -> bool:
        ticks = int(Fraction(images, rate) / unit)
        packet.pts, packet.dts = (packet.pts or 0) - ticks, (packet.dts or 0) - ticks
        return True

    return remux(content, shift, options={"avoid_negative_ts": "disabled", "use_editlist": "1"})


def rotated(content: bytes, degrees: int) -> bytes:
    """Return an MP4 whose header says to turn it clockwise, as phones write it."""
    one = 1 << 16
    matrices = {90: (0, one, -one, 0), 180: (-one, 0, 0, -one), 270: (0, -one, one, 0)}
    a, b, c, d = matrices[degrees]
    matrix = b"".join(v.to_bytes(4, "big", signed=True) for v in (a, b, 0, c, d, 0, 0, 0, 1 << 30))
    at = content.index(b"tkhd") + 4
    start = at + 4 + (32 if content[at] else 20) + 16  # version, times, layer, volume
    return content[:start] + matrix + content[start + len(matrix) :]
