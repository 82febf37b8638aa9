"""Reading a source on a thread of its own, and opening it again where it ends."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Literal

from hhmnet_core.live.addresses import LiveAddress
from hhmnet_core.live.buffer import Arrived, NewestImage
from hhmnet_core.live.clock import ImageClock
from hhmnet_core.live.stream import OpenStream, SourceError, open_stream
from hhmnet_core.sources.video_decoding import upright

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before a source is opened again; doubled each time
_END_SECONDS = 1.0  # to wait for the thread; it ends by itself once its source sends or fails


@dataclass(frozen=True)
class SourceEvent:
    """A change of a source.

    Attributes:
        kind: "opened"; "lost", to be opened again; "ended", for good; or "failed" at first.
        reason: Reason why it is lost or failed.
        error: Bug that ended the thread.
    """

    kind: Literal["opened", "lost", "ended", "failed"]
    reason: str = ""
    error: Exception | None = None


class SourceReader:
    """Puts the images of a source where the newest one is taken from.

    Args:
        address: The source.
        images: Place of the newest image.
        open_source: Function that opens the source.

    Attributes:
        events: Changes of the source, in their order.
    """

    def __init__(
        self,
        address: LiveAddress,
        images: NewestImage,
        open_source: Callable[[LiveAddress], AbstractContextManager[OpenStream]] = open_stream,
    ) -> None:
        self.events: SimpleQueue[SourceEvent] = SimpleQueue()
        self._address, self._images, self._open = address, images, open_source
        self._is_stopped, self._pause = threading.Event(), FIRST_PAUSE
        # A daemon: it may wait within FFmpeg for a source that sends nothing.
        self._thread = threading.Thread(target=self._read, name="source", daemon=True)

    def start(self) -> None:
        """Start to read."""
        self._thread.start()

    def stop(self) -> None:
        """Stop to read."""
        self._is_stopped.set()
        self._thread.join(_END_SECONDS)

    def _read(self) -> None:
        try:
            self._read_on()
        except Exception as error:  # a bug, which the thread that uses the images reports
            self.events.put(SourceEvent("failed", error=error))

    def _read_on(self) -> None:
        was_open = False
        while not self._is_stopped.is_set():
            reason = "it has ended"
            try:
                with self._open(self._address) as source:
                    was_open = True
                    self.events.put(SourceEvent("opened"))
                    self._pass_on(source)
                    if source.has_end:
                        self.events.put(SourceEvent("ended"))
                        return
            except SourceError as error:
                reason = str(error)
                if not was_open:
                    self.events.put(SourceEvent("failed", reason))
                    return
            self.events.put(SourceEvent("lost", reason))
            self._is_stopped.wait(self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _pass_on(self, source: OpenStream) -> None:
        """Pass the images of a connection on."""
        clock, begin = ImageClock(), None
        for frame in source.frames():
            presented, arrival = frame.time, time.monotonic()
            if source.comes_ahead and presented is not None:
                begin = arrival - presented if begin is None else begin
                self._is_stopped.wait(max(0.0, begin + presented - arrival))
                arrival = time.monotonic()
            if self._is_stopped.is_set():
                return
            self._pause = FIRST_PAUSE
            at = clock.time(presented, arrival)
            self._images.put(Arrived(partial(upright, frame), at, arrival))
