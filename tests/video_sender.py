"""Sends a video of a person who moves to and fro as an MPEG transport stream, 25 images a second.

Usage: video_sender.py tcp|udp PORT. Over TCP it serves one connection after the other and prints
the port that it listens on, which is PORT or, if that is 0, a free one.
"""

import itertools
import socket
import sys
import time

import av
from person_videos import moving

RATE = 25
_PACKET = 1316  # bytes; seven packets of a transport stream


class _Writer:
    """A file that goes into a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def write(self, data: bytes) -> int:
        self.connection.sendall(data)
        return len(data)


def send(to: "str | _Writer") -> None:
    """Send images without end."""
    there = moving(30)
    frames = [av.VideoFrame.from_ndarray(image, format="rgb24") for image in there + there[::-1]]
    with av.open(to, "w", format="mpegts", options={"flush_packets": "1"}) as out:
        stream = out.add_stream(
            "libx264", rate=RATE, options={"preset": "ultrafast", "tune": "zerolatency", "g": "12"}
        )
        stream.height, stream.width = there[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        begin = time.monotonic()
        for number, frame in enumerate(itertools.cycle(frames)):
            time.sleep(max(0.0, begin + number / RATE - time.monotonic()))
            frame.pts = number
            out.mux(stream.encode(frame))


def serve(port: int) -> None:
    """Send images to whoever connects, one after the other."""
    with socket.create_server(("127.0.0.1", port)) as server:
        print(f"listens on {server.getsockname()[1]}", flush=True)
        while True:
            connection, _ = server.accept()
            try:
                send(_Writer(connection))
            except OSError:  # the other side has closed it
                connection.close()


if __name__ == "__main__":
    kind, given = sys.argv[1:]
    if kind == "tcp":
        serve(int(given))
    else:
        send(f"udp://127.0.0.1:{given}?pkt_size={_PACKET}")
