"""Requests to an ASGI application without a server, one chunk of the body after the other."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

LOCAL = {"host": "127.0.0.1:8000"}


@dataclass
class Called:
    """What came back.

    Attributes:
        status: HTTP status.
        headers: Headers by their names in lower case.
        body: The body.
        taken: Number of chunks of the request's body that were read.
        is_read: Whether its end was read.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    taken: int = 0
    is_read: bool = False

    @property
    def values(self) -> Any:
        return json.loads(self.body)


async def call(
    app: Any,
    method: str,
    path: str,
    chunks: Iterable[bytes] = (),
    headers: Mapping[str, str] | None = None,
    leaves: bool = False,
) -> Called:
    """Send a request and return the answer.

    Args:
        app: The application.
        method: HTTP method.
        path: Path and query.
        chunks: Body of the request.
        headers: Headers beside the host.
        leaves: Whether the client leaves once it has sent the body.
    """
    path, _, query = path.partition("?")
    sent = [
        (name.lower().encode(), value.encode())
        for name, value in {**LOCAL, **(headers or {})}.items()
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": sent,
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 40_000),
    }
    called, waiting = Called(), list(chunks)

    async def receive() -> dict[str, Any]:
        if waiting:
            called.taken += 1
            return {"type": "http.request", "body": waiting.pop(0), "more_body": True}
        if not called.is_read:
            called.is_read = True
            return {"type": "http.request", "body": b"", "more_body": False}
        if not leaves:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            called.status = message["status"]
            called.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            called.body += message["body"]

    await app(scope, receive, send)
    return called
