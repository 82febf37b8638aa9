"""Connections that begin no request, and headers that do not end."""

import asyncio
import socket
import time

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from hhmnet_platform.serving.server import connections
from hhmnet_platform.serving.server.connections import PatientProtocol

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def slow_answer(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(1.0)
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    )
    await send({"type": "http.response.body", "body": b"ok"})


def conversation(parts: list[bytes]) -> tuple[bytes, float]:
    """Return what a server answers to a client that then waits, and for how long."""

    async def run() -> tuple[bytes, float]:
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            slow_answer, http=PatientProtocol, lifespan="off", log_config=None, ws="none"
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listener]))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        began = time.monotonic()
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.05)
        answer = await asyncio.wait_for(reader.read(), 30)
        waited = time.monotonic() - began
        writer.close()
        server.should_exit = True
        await serving
        return answer, waited

    return asyncio.run(run())


@pytest.mark.parametrize("parts", [[], [b"GET / HT"], [REQUEST[:-2]], [b"G", b"E", b"T"]])
def test_a_header_that_does_not_come_ends_the_connection(
    parts: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.3)
    answer, waited = conversation(parts)
    assert answer == b"" and 0.25 < waited < 20


def test_an_answer_may_take_longer_and_the_next_header_may_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.3)
    answer, waited = conversation([REQUEST])
    assert answer.endswith(b"ok") and waited >= 1.0
    twice, _ = conversation([REQUEST + REQUEST[:-2]])
    assert twice.count(b"200 OK") == 1
