"""Sources that cannot be opened have a reason of one line; those that can give their images."""

import itertools
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import video_sender
from processes import Starter
from video_files import encode_video, numbered_images

from hhmnet_core.live import stream
from hhmnet_core.live.addresses import LiveAddress, live_address
from hhmnet_core.live.stream import SourceError, open_stream

Serve = Callable[[bytes, bool], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve some bytes to each connection, and then end it or keep it open; return the port."""
    server = socket.create_server(("127.0.0.1", 0))
    kept = []

    def start(content: bytes, stays: bool) -> int:
        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:  # the server is closed
                    return
                if content.startswith(b"HTTP"):
                    connection.recv(65536)
                connection.sendall(content)
                if stays:
                    kept.append(connection)
                else:
                    connection.close()

        threading.Thread(target=answer, daemon=True).start()
        port: int = server.getsockname()[1]
        return port

    yield start
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    for connection in kept:
        connection.close()


def address_of(given: str) -> LiveAddress:
    found = live_address(given)
    assert found is not None
    return found


def reason_of(given: str) -> str:
    """Return the reason why a source cannot be opened."""
    with pytest.raises(SourceError) as caught, open_stream(address_of(given)):
        pass
    reason = str(caught.value)
    assert "\n" not in reason and "://" not in reason and "secret" not in reason
    return reason


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("/dev/video97", "no such file or directory"),
        ("tcp://127.0.0.1:{}", "connection refused"),
        ("rtsp://me:secret@127.0.0.1:{}/stream", "connection refused"),
        ("http://me:secret@127.0.0.1:{}/stream", "connection refused"),
        ("tcp://me:secret@no-such-host.invalid:{}", "the host no-such-host.invalid is unknown"),
        ("http://no-such-host.invalid:{}/a", "the host no-such-host.invalid is unknown"),
    ],
)
def test_sources_that_are_not_there(given: str, reason: str, free_port: int) -> None:
    if given.startswith("/dev") and sys.platform != "linux":
        pytest.skip("Video4Linux is Linux's")
    assert reason_of(given.format(free_port)) == reason


@pytest.mark.parametrize("scheme", ["tcp", "http"])
def test_a_server_of_text(scheme: str, serve: Serve) -> None:
    text = b"<html><body>" + b"Not a camera. " * 5000 + b"</body></html>"
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n".encode()
    port = serve(text if scheme == "tcp" else head + text, False)
    assert reason_of(f"{scheme}://127.0.0.1:{port}/a") == "what it sends is no video"


def test_a_server_that_sends_nothing(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "OPEN_SECONDS", 1.0)
    assert reason_of(f"tcp://127.0.0.1:{serve(b'', True)}") == "it sent nothing for 1 s"


def test_a_recording_has_an_end(serve: Serve) -> None:
    content = encode_video(numbered_images(12), kind="matroska")
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\nContent-Type: video/x-matroska\r\n"
        "Connection: close\r\n\r\n"
    ).encode()
    port = serve(head + content, False)
    with open_stream(address_of(f"http://127.0.0.1:{port}/stream")) as source:
        assert source.has_end and source.comes_ahead
        assert len(list(source.frames())) == 12


def test_a_stream_is_joined_anywhere_and_its_silence_ends_it(
    starter: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SILENT_SECONDS", 1.0)
    sender = starter.program(sys.executable, Path(video_sender.__file__), "tcp", 0)
    port = sender.wait_for(r"listens on (\d+)", 60)[1]
    with open_stream(address_of(f"tcp://127.0.0.1:{port}")) as source:
        assert not source.has_end and not source.comes_ahead
        frames = source.frames()
        times = [next(frames).time for _ in range(30)]
        steps = {round(after - before, 3) for before, after in itertools.pairwise(times)}
        assert steps == {0.04}
        # Stopped, not ended: the connection stays open.
        os.kill(sender.popen.pid, signal.SIGSTOP)
        begin, came = time.monotonic(), []
        try:
            with pytest.raises(SourceError, match="it sent nothing for 1 s"):
                for _ in frames:
                    came.append(time.monotonic() - begin)
        finally:
            os.kill(sender.popen.pid, signal.SIGCONT)
        assert 0.9 < time.monotonic() - begin < 10
        # An image that FFmpeg held back until then would seem to have just arrived.
        assert not came or came[-1] < 0.9
    sender.stop()
