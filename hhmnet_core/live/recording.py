"""Writing what a live prediction shows as a video, on a thread of its own."""

import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, Full, Queue

from hhmnet_core.files import local_access
from hhmnet_core.rendering.encoding import DEFAULT_RATE, Encode
from hhmnet_core.sources.video_decoding import Image

_WAITING = 4  # images that wait to be drawn; further ones are left out
# Written piece by piece: memory stays the same for days, and a file that was cut off can be played.
_IN_PIECES = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
_POLL_SECONDS = 0.2

Draw = Callable[[], Image]


class LiveVideo:
    """A video file that images are added to while they are shown.

    Each image is shown from its own time to that of the next one, so the video keeps the pace of
    its source, whatever images are left out.

    Args:
        file: The file. Its folder is made. Without images it is removed again.

    Attributes:
        left_out: Number of images that were not written because drawing took too long.

    Raises:
        AccessError: A file that cannot be written.
    """

    def __init__(self, file: Path) -> None:
        import av

        self.left_out, self._file = 0, file
        options = _IN_PIECES if file.suffix.lower() in (".mp4", ".mov") else {}
        with local_access(file, "write"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.open("wb").close()  # PyAV opens it at the first image only
            self._container = av.open(str(file), "w", options=dict(options))
        self._waiting: Queue[tuple[Draw, float]] = Queue(_WAITING)
        self._is_closed = threading.Event()
        self._error: Exception | None = None
        self._begin: float | None = None
        self._thread = threading.Thread(target=self._write, name="video", daemon=True)
        self._thread.start()

    def add(self, draw: Draw, time: float) -> None:
        """Add an image, or leave it out where too many wait. Raises what the writing has raised.

        Args:
            draw: Function that draws it.
            time: Seconds at which it was shown, on any clock.
        """
        self._raise()
        self._begin = time if self._begin is None else self._begin
        try:
            self._waiting.put_nowait((draw, time - self._begin))
        except Full:
            self.left_out += 1

    def close(self) -> None:
        """Write the images that still wait, and close the file."""
        self._is_closed.set()
        self._thread.join()
        if self._begin is None:
            self._file.unlink(missing_ok=True)
        self._raise()

    def _write(self) -> None:
        try:
            with self._container:
                encode = Encode(self._container, DEFAULT_RATE, is_timed=True)
                while not (self._is_closed.is_set() and self._waiting.empty()):
                    try:
                        draw, seconds = self._waiting.get(timeout=_POLL_SECONDS)
                    except Empty:
                        continue
                    encode(draw(), seconds)
                encode.finish()
        except Exception as error:  # a full disk; raised where images are added
            self._error = error

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error
