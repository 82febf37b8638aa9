"""Reading the bodies of requests: no more of them than allowed, one by one and together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.types import Receive

from hhmnet_platform.serving.server.refusals import (
    MALFORMED,
    TOO_LARGE,
    RefusalError,
    busy,
)

MEGABYTE = 1_000_000
HELD = 4  # largest bodies that are in memory at a time
DRAINED_SECONDS = 5.0  # that the rest of a refused body is read for, so that the answer is seen


class Bodies:
    """The bodies of all requests that are being answered.

    Args:
        limit: Bytes of the largest body.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._free = HELD * limit

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Read a whole body, which counts as held until the end of the block.

        Raises:
            RefusalError: It is empty, larger than the limit, or too much beside those of others.
        """
        declared = _declared(request)
        if declared > self.limit:
            raise self._too_large(f"{declared / MEGABYTE:,.1f} MB")
        if declared > self._free:
            raise busy("other uploads take its memory")
        held, chunks = 0, []
        try:
            async for chunk in request.stream():
                held += len(chunk)
                self._free -= len(chunk)
                if held > self.limit:
                    raise self._too_large("more")
                if self._free < 0:
                    raise busy("other uploads take its memory")
                chunks.append(chunk)
            request.state.is_read = True
            if not held:
                raise RefusalError(
                    MALFORMED, "The body is empty: send JSON with clips, a skeleton or a video."
                )
            yield b"".join(chunks)
        finally:
            self._free += held

    def _too_large(self, size: str) -> RefusalError:
        limit = f"{self.limit / MEGABYTE:,.1f} MB"
        found = size if size != "more" else f"more than {limit}"
        return RefusalError(
            TOO_LARGE,
            f"The body has {found}, the limit of this server is {limit}: send a shorter "
            "recording, or start the server with a larger --max_mb.",
        )


async def drain(request: Request, receive: Receive) -> None:
    """Read and drop the rest of a body, if there is one, for some seconds at most.

    A connection that is closed while its client still sends is reset, and the answer is lost.
    """
    if getattr(request.state, "is_read", False):
        return  # nothing would come but the end of the connection
    try:
        async with asyncio.timeout(DRAINED_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body"):
                    return
    except TimeoutError:
        return


def _declared(request: Request) -> int:
    """Return the bytes that the header says, 0 where it says none."""
    text = request.headers.get("content-length", "0")
    if not text.isdecimal():
        raise RefusalError(
            MALFORMED, f"Content-Length is {text[:40]!r}, expected a number of bytes."
        )
    return int(text[:20])
