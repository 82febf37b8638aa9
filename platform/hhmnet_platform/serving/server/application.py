"""The HTTP application: its addresses, who may call them, and one JSON line for every error."""

import asyncio
import base64
import hashlib
import json
import re
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from importlib import metadata, resources
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hhmnet_platform.serving.server.answers import Answers
from hhmnet_platform.serving.server.bodies import MEGABYTE, Bodies, drain
from hhmnet_platform.serving.server.parameters import Parameters, parse_parameters
from hhmnet_platform.serving.server.predictor import Predictor
from hhmnet_platform.serving.server.refusals import (
    FORBIDDEN,
    MALFORMED,
    NOT_FOUND,
    UNAUTHORIZED,
    WRONG_METHOD,
    RefusalError,
    busy,
    out_of_time,
)
from hhmnet_platform.serving.server.requests import (
    Upload,
    parse_body,
    parse_clips,
)
from hhmnet_platform.serving.server.tokens import Token, is_loopback

Result = TypeVar("Result")
MAX_REQUESTS = 256  # that are answered at a time
PARSED_AT_A_TIME = 2  # bodies of JSON, whose values take memory
_FAULT = 500
_PAGE = "page.html"
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_NO_CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'"


@dataclass(frozen=True)
class Limits:
    """Limits of the requests.

    Attributes:
        bytes: Bytes of the largest body.
        seconds: Longest time of a request.
        frames: Frames of the longest recording.
    """

    bytes: int
    seconds: float
    frames: int


class Application:
    """The application of one model.

    Args:
        answers: Answers of the model.
        predictor: Predictor of clips and files.
        limits: Limits of the requests.
        token: Token of the requests. None: none, and only this machine is answered.
    """

    def __init__(
        self, answers: Answers, predictor: Predictor, limits: Limits, token: Token | None
    ) -> None:
        self._answers, self._predictor, self._limits = answers, predictor, limits
        self._token = token
        self._bodies = Bodies(limits.bytes)
        self._requests = 0
        self._parsing = asyncio.Semaphore(PARSED_AT_A_TIME)
        self._page, self._page_policy = load_page()
        self.asgi = Starlette(
            routes=[
                Route("/", self._guarded(self._send_page), methods=["GET"]),
                Route("/health", self._guarded(self._health), methods=["GET"]),
                Route("/predict", self._guarded(self._predict), methods=["POST"]),
            ],
            exception_handlers={HTTPException: _wrong_address},
        )

    def _guarded(
        self, answer: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return a function that answers every request, with an error if need be."""

        async def respond(request: Request) -> Response:
            try:
                self._check_origin(request)
                return await answer(request)
            except RefusalError as refusal:
                return _Refused(request, refusal)
            except ClientDisconnect:
                return Response(status_code=MALFORMED)  # nobody reads it
            except Exception:
                traceback.print_exc(file=sys.stderr)
                text = "The server failed on this request: its output has the reason."
                return _Refused(request, RefusalError(_FAULT, text))

        return respond

    async def _send_page(self, request: Request) -> Response:
        return Response(
            self._page,
            media_type="text/html; charset=utf-8",
            headers=_HEADERS | {"Content-Security-Policy": self._page_policy},
        )

    async def _health(self, request: Request) -> Response:
        """Return what is served; without the token only that the server is up."""
        if not self._is_allowed(request):
            return _json({"status": "ok", "needs_token": True})
        model, limits = self._answers.model, self._limits
        return _json(
            {
                "status": "ok",
                "needs_token": self._token is not None,
                "model": model.name,
                "classes": list(model.class_names),
                "layout": model.layout,
                "joints": list(model.skeleton.joints),
                "channels": model.skeleton.channels,
                "threshold": model.threshold,
                "reads_video": model.reads_video,
                "max_mb": limits.bytes / MEGABYTE,
                "max_seconds": limits.seconds,
                "max_frames": limits.frames,
                "version": metadata.version("hhmnet-ray"),
            }
        )

    async def _predict(self, request: Request) -> Response:
        if not self._is_allowed(request):
            raise RefusalError(
                UNAUTHORIZED,
                "The token is missing or another one: send the header Authorization: Bearer TOKEN "
                "with the token of this server.",
            )
        parameters = parse_parameters(dict(request.query_params))
        if self._requests >= MAX_REQUESTS:
            raise busy(f"{MAX_REQUESTS} requests at a time")
        self._requests += 1
        try:
            async with asyncio.timeout(self._limits.seconds):
                async with self._bodies.read(request) as body:
                    return await self._answer(request, body, parameters)
        except TimeoutError as error:
            raise out_of_time(self._limits.seconds) from error
        finally:
            self._requests -= 1

    async def _answer(self, request: Request, body: bytes, parameters: Parameters) -> Response:
        started = time.perf_counter()
        given = await parse_body(request.headers, body, parameters)
        if isinstance(given, Upload):
            work = self._predictor.recording(given, parameters)
            recording, rows = await _while_connected(request, work)
            answer = await asyncio.to_thread(
                self._answers.recording, recording, rows, bool(parameters.window)
            )
        else:
            _check_for_clips(parameters)
            async with self._parsing:
                clips = await asyncio.to_thread(parse_clips, given)
            found = await _while_connected(request, self._predictor.clips(clips, parameters))
            answer = {"predictions": [self._answers.clip(row) for row in found]}
        milliseconds = round(1000 * (time.perf_counter() - started), 3)
        answer |= {"model": self._answers.model.name, "milliseconds": milliseconds}
        return await asyncio.to_thread(_json, answer)  # megabytes, where it holds joints

    def _is_allowed(self, request: Request) -> bool:
        given = request.headers.get("authorization", "")
        return self._token is None or self._token.opens(given)

    def _check_origin(self, request: Request) -> None:
        """Refuse pages of other sites that the browser of a user of this machine is on.

        Without a token such a page could otherwise predict here, and by a name that leads to
        127.0.0.1 read the answers.
        """
        if self._token is not None:
            return
        host = request.headers.get("host", "")
        origin = request.headers.get("origin", f"http://{host}")
        if not is_loopback(_without_port(host)) or origin != f"http://{host}":
            raise RefusalError(
                FORBIDDEN,
                f"The request is for {host[:80]!r} from {origin[:80]!r}: without a token only "
                "pages and programs of this machine are answered; open http://127.0.0.1.",
            )


class _Refused(Response):
    """An error. What the client still sends is read, so that it sees the answer."""

    def __init__(self, request: Request, refusal: RefusalError) -> None:
        self._request = request
        headers = dict(_HEADERS, **{"Content-Security-Policy": _NO_CONTENT_POLICY})
        if refusal.status == UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        content = _format({"error": refusal.message, "status": refusal.status})
        super().__init__(content, refusal.status, headers, "application/json")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send(start | {"headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await drain(self._request, receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def load_page() -> tuple[bytes, str]:
    """Return the page, and the policy that lets it run its own script and style alone."""
    content = resources.files(__package__).joinpath(_PAGE).read_bytes()
    sources = {
        tag: " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'"
            for text in re.findall(rb"<%s>(.*?)</%s>" % ((tag.encode(),) * 2), content, re.DOTALL)
        )
        for tag in ("script", "style")
    }
    policy = (
        f"default-src 'none'; script-src {sources['script']}; style-src {sources['style']}; "
        "connect-src 'self'; media-src blob:; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return content, policy


async def _while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of a coroutine, which is cancelled where the client leaves."""
    task, left = asyncio.create_task(work), asyncio.create_task(_disconnect(request))
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        for each in (task, left):
            each.cancel()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _check_for_clips(parameters: Parameters) -> None:
    """Raise RefusalError for parameters that are for files."""
    if parameters != Parameters(missing=parameters.missing):
        raise RefusalError(
            MALFORMED, "Clips in JSON have the parameter missing alone; the others are for files."
        )


async def _wrong_address(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == WRONG_METHOD:
        text = f"{request.method[:20]} is not answered here: GET / and /health, POST /predict."
        return _Refused(request, RefusalError(WRONG_METHOD, text))
    path = request.url.path[:80]
    text = f"There is nothing at {path}: see /, /health and /predict."
    return _Refused(request, RefusalError(NOT_FOUND, text))


def _without_port(host: str) -> str:
    """Return the host of a header, such as [::1]:8000, without its port and brackets."""
    return re.sub(r":\d+$", "", host).strip("[]")


def _json(content: object) -> Response:
    headers = dict(_HEADERS, **{"Content-Security-Policy": _NO_CONTENT_POLICY})
    return Response(_format(content), headers=headers, media_type="application/json")


def _format(content: object) -> bytes:
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode(errors="replace")  # a request may hold half of a surrogate pair
