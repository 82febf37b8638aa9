"""An open camera or stream: its images as they come, with errors of one line."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hhmnet_core.live.addresses import LiveAddress

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

OPEN_SECONDS = 10.0  # until a source sends something that can be read
SILENT_SECONDS = 5.0  # without any data, after which a source is opened again
BLIND_SECONDS = 30.0  # with data but no image; a stream may start long before its first keyframe
_SILENT = "it sent nothing for {:.0f} s"


class SourceError(Exception):
    """A source that cannot be opened or has failed; the message is the reason."""


class OpenStream:
    """An open source.

    Args:
        container: The opened container.
        stream: Its video stream.

    Attributes:
        has_end: Whether it is a recording, which ends, and not a camera.
        comes_ahead: Whether it sends images before their time, so that they have to be held back.
    """

    def __init__(self, container: "InputContainer", stream: "VideoStream") -> None:
        self._container, self._stream = container, stream
        self.has_end = bool(container.duration and container.duration > 0)
        self.comes_ahead = self.has_end or "hls" in container.format.name.split(",")

    def frames(self) -> Iterator["VideoFrame"]:
        """Yield the images as they come, without damaged ones.

        Raises:
            SourceError: The source fails, or sends nothing that can be shown for too long.
        """
        import av

        shown = read = time.monotonic()
        with _named(SILENT_SECONDS):
            for packet in self._container.demux(self._stream):
                if time.monotonic() - read > SILENT_SECONDS:  # FFmpeg hands out what it held back
                    raise SourceError(_SILENT.format(SILENT_SECONDS))
                try:
                    frames = packet.decode()
                except av.FFmpegError:  # it needs images from before the connection, or lost ones
                    frames = []
                for frame in frames:
                    if not frame.is_corrupt:
                        shown = time.monotonic()
                        yield frame
                if time.monotonic() - shown > BLIND_SECONDS:
                    raise SourceError(f"no image could be decoded for {BLIND_SECONDS:.0f} s")
                read = time.monotonic()


@contextmanager
def open_stream(address: LiveAddress) -> Iterator[OpenStream]:
    """Open a camera or stream.

    Raises:
        SourceError: It cannot be opened, or sends no video.
    """
    import av

    with _named(OPEN_SECONDS, address.host):
        container = av.open(
            address.url,
            "r",
            format=address.format or None,
            options=dict(address.options),
            timeout=(OPEN_SECONDS, SILENT_SECONDS),
        )
    with container:
        if not container.streams.video:
            raise SourceError("it sends no video")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise SourceError("its video is of an unknown codec")
        stream.thread_type = "SLICE"  # threads that share an image; those that do not add a delay
        yield OpenStream(container, stream)


@contextmanager
def _named(seconds: float, host: str = "") -> Iterator[None]:
    """Turn FFmpeg's errors in the block into SourceError."""
    import av

    try:
        yield
    except av.error.ExitError as error:
        raise SourceError(_SILENT.format(seconds)) from error
    except av.error.ProtocolNotFoundError as error:
        raise SourceError("this build of PyAV does not know its protocol") from error
    except av.error.InvalidDataError as error:
        raise SourceError("what it sends is no video") from error
    except (av.FFmpegError, ValueError) as error:
        if host and not _is_known(host):
            raise SourceError(f"the host {host} is unknown") from error
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise SourceError(str(reason)[:1].lower() + str(reason)[1:]) from error


def _is_known(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return True
