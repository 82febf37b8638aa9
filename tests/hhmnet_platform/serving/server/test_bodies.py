"""Bodies are read as far as they may be."""

import asyncio
from collections.abc import Iterable

import pytest
from starlette.requests import Request

from hhmnet_platform.serving.server.bodies import HELD, Bodies
from hhmnet_platform.serving.server.refusals import RefusalError


class Sent:
    """A request of chunks, and the number of those that were read."""

    def __init__(self, chunks: Iterable[bytes], declared: str = "") -> None:
        self.chunks, self.taken = list(chunks), 0
        headers = [(b"content-length", declared.encode())] if declared else []
        scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
        self.request = Request(scope, self.receive)

    async def receive(self) -> dict[str, object]:
        chunk = self.chunks[self.taken] if self.taken < len(self.chunks) else b""
        self.taken += 1
        return {"type": "http.request", "body": chunk, "more_body": self.taken <= len(self.chunks)}


def read(bodies: Bodies, sent: Sent) -> bytes:
    async def whole() -> bytes:
        async with bodies.read(sent.request) as body:
            return body

    return asyncio.run(whole())


def test_a_body_up_to_the_limit_is_read_whole() -> None:
    assert read(Bodies(10), Sent([b"12345", b"67890"], "10")) == b"1234567890"


@pytest.mark.parametrize(
    ("chunks", "declared", "status", "taken"),
    [
        ([b"1" * 11], "11", 413, 0),
        ([b"1" * 6] * 99, "", 413, 2),
        ([b"1" * 6] * 99, "6", 413, 2),  # a header that lies
        ([], "", 400, 1),
        ([b"1"], "many", 400, 0),
        ([b"1"], "-5", 400, 0),
        ([b"1"], "9" * 40, 413, 0),
    ],
)
def test_no_more_is_read_than_allowed(
    chunks: list[bytes], declared: str, status: int, taken: int
) -> None:
    bodies, sent = Bodies(10), Sent(chunks, declared)
    with pytest.raises(RefusalError) as caught:
        read(bodies, sent)
    assert caught.value.status == status and sent.taken == taken
    assert read(bodies, Sent([b"1" * 10])) == b"1" * 10


def test_bodies_together_have_a_limit_until_they_are_answered() -> None:
    bodies = Bodies(10)

    async def held(count: int) -> None:
        if not count:
            for declared in ("1", ""):
                with pytest.raises(RefusalError, match="other uploads") as caught:
                    async with bodies.read(Sent([b"1"], declared).request):
                        pass
                assert caught.value.status == 503
            return
        async with bodies.read(Sent([b"1" * 10], "10").request):
            await held(count - 1)

    asyncio.run(held(HELD))
    assert read(bodies, Sent([b"1"])) == b"1"
