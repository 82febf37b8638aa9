"""Addresses, tokens, origins, limits and errors of the HTTP application."""

import asyncio
import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from asgi_calls import Called, call
from numpy.typing import NDArray

from hhmnet_core.deploy.folders import read_description
from hhmnet_core.store.clips import ClipSet
from hhmnet_platform.serving.server.answers import Answers
from hhmnet_platform.serving.server.application import Application, Limits, load_page
from hhmnet_platform.serving.server.parameters import Parameters
from hhmnet_platform.serving.server.recordings import ReadRecording
from hhmnet_platform.serving.server.refusals import RefusalError
from hhmnet_platform.serving.server.requests import JsonClips, Upload
from hhmnet_platform.serving.server.tokens import Token

JSON = {"content-type": "application/json"}
TOKEN = Token("a" * 32)
BEARER = {"authorization": f"Bearer {TOKEN.value}"}
CLIP = b'{"clips": [[[[1, 2, 3]]]]}'
SOME = Limits(bytes=1000, seconds=30.0, frames=100)


class Predictor:
    """Predicts the second class of three; fails, waits or notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.error: Exception | None = None
        self.waits = self.was_cancelled = False

    async def clips(self, clips: JsonClips, parameters: Parameters) -> list[NDArray[np.float64]]:
        self.asked.append((clips, parameters))
        if self.error is not None:
            raise self.error
        if self.waits:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.was_cancelled = True
                raise
        return [np.array([0.2, 0.7, 0.1])] * len(clips.arrays)

    async def recording(
        self, upload: Upload, parameters: Parameters
    ) -> tuple[ReadRecording, NDArray[np.float64]]:
        self.asked.append((upload, parameters))
        return ReadRecording(upload.name, (), ((0, 9),), 9, None, 0, None), np.eye(3)[1:2]


class Tried:
    """An application, its predictor, and requests to it."""

    def __init__(self, model: str, limits: Limits = SOME, token: Token | None = None) -> None:
        self.predictor = Predictor()
        answers = Answers(replace(read_description(model), threshold=0.5))
        self.app = Application(answers, self.predictor, limits, token).asgi

    def __call__(self, method: str, path: str, *arguments: Any, **options: Any) -> Called:
        return asyncio.run(call(self.app, method, path, *arguments, **options))


@pytest.fixture
def tried(model: str) -> Tried:
    return Tried(model)


def test_clips_and_files_are_predicted(tried: Tried) -> None:
    answer = tried("POST", "/predict?missing=hold", [CLIP], JSON)
    assert answer.status == 200
    (prediction,) = answer.values["predictions"]
    assert prediction["label"] == "green" and prediction["confidence"] == 0.7
    assert prediction["probabilities"] == {"red": 0.2, "green": 0.7, "blue": 0.1}
    assert answer.values["model"] == "made" and answer.values["milliseconds"] >= 0
    found = tried("POST", "/predict?name=a.npy&window=9f", [b"12", b"3"]).values
    assert found["label"] == "green" and found["name"] == "a.npy" and found["frames"] == 9
    assert [(line["start"], line["stop"]) for line in found["timeline"]] == [(0, 9)]
    (clips, first), (upload, second) = tried.predictor.asked  # type: ignore[misc]
    assert clips.arrays[0].shape == (1, 1, 3) and first.missing == "hold"
    assert upload == Upload("a.npy", b"123") and second.window == "9f"


def test_every_answer_forbids_what_the_page_does_not_need(tried: Tried) -> None:
    page, health = tried("GET", "/"), tried("GET", "/health")
    lost = tried("GET", "/lost")
    for answer in (page, health, lost):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert health.values["classes"] == ["red", "green", "blue"]
    assert health.values["layout"] == "kinect_v1_20" and health.values["threshold"] == 0.5
    assert health.values["max_mb"] == 0.001 and not health.values["reads_video"]


def test_the_policy_names_the_script_and_the_style_of_the_page_and_no_other() -> None:
    content, policy = load_page()
    for tag in (b"script", b"style"):
        text = content.split(b"<%s>" % tag)[1].split(b"</%s>" % tag)[0]
        assert base64.b64encode(hashlib.sha256(text).digest()).decode() in policy
        assert content.count(b"<%s" % tag) == 1
    assert policy.count("sha256-") == 2 and "unsafe" not in policy
    assert b"http://" not in content and b"https://" not in content and b" style=" not in content


def test_the_token_is_asked_for_before_anything_is_read(model: str) -> None:
    tried = Tried(model, token=TOKEN)
    for headers in ({}, {"authorization": "Bearer b"}, {"authorization": f"Basic {TOKEN.value}"}):
        refused = tried("POST", "/predict", [CLIP], JSON | headers)
        assert refused.status == 401 and refused.headers["www-authenticate"] == "Bearer"
        assert "token is missing" in refused.values["error"]
        assert tried("GET", "/health", headers=headers).values == {
            "status": "ok",
            "needs_token": True,
        }
    assert not tried.predictor.asked
    assert tried("GET", "/").status == 200
    assert tried("POST", "/predict", [CLIP], JSON | BEARER).status == 200
    assert tried("GET", "/health", headers=BEARER).values["model"] == "made"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "127.0.0.1:8000"}, 200),
        ({"host": "localhost"}, 200),
        ({"host": "[::1]:8000"}, 200),
        ({"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000"}, 200),
        ({"host": "attacker.example"}, 403),
        ({"host": "127.0.0.1.attacker.example:8000"}, 403),
        ({"host": "127.0.0.1:8000", "origin": "http://attacker.example"}, 403),
        ({"host": "127.0.0.1:8000", "origin": "null"}, 403),
    ],
)
def test_without_a_token_pages_of_other_sites_are_refused(
    headers: dict[str, str], status: int, tried: Tried
) -> None:
    assert tried("POST", "/predict", [CLIP], JSON | headers).status == status
    assert len(tried.predictor.asked) == (status == 200)


def test_with_the_token_any_name_of_the_server_will_do(model: str) -> None:
    answer = Tried(model, token=TOKEN)("GET", "/health", headers=BEARER | {"host": "server.lan"})
    assert answer.values["model"] == "made"


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/lost", 404, "There is nothing at /lost"),
        ("GET", "/predict", 405, "GET is not answered here"),
        ("DELETE", "/health", 405, "DELETE is not answered here"),
        ("POST", "/predict?windows=2s", 400, "Unknown parameter 'windows'"),
        ("POST", "/predict?window=2s", 400, "the others are for files"),
    ],
)
def test_wrong_addresses(method: str, path: str, status: int, message: str, tried: Tried) -> None:
    answer = tried(method, path, [CLIP] if method == "POST" else [], JSON)
    assert answer.status == answer.values["status"] == status
    assert message in answer.values["error"]


def test_refusals_and_faults_are_one_line_and_the_next_request_is_answered(
    tried: Tried, capsys: pytest.CaptureFixture[str]
) -> None:
    tried.predictor.error = RefusalError(422, "Clip 0 is empty.")
    answer = tried("POST", "/predict", [CLIP], JSON)
    assert answer.status == 422 and answer.values == {"error": "Clip 0 is empty.", "status": 422}
    tried.predictor.error = KeyError("inside")
    answer = tried("POST", "/predict", [CLIP], JSON)
    assert answer.status == 500 and "inside" not in answer.values["error"]
    assert "KeyError: 'inside'" in capsys.readouterr().err
    tried.predictor.error = None
    assert tried("POST", "/predict", [CLIP], JSON).status == 200


def test_the_rest_of_a_refused_body_is_read_so_that_the_answer_is_seen(tried: Tried) -> None:
    chunks = [bytes(300)] * 50
    answer = tried("POST", "/predict?name=a.npy", chunks)
    assert answer.status == 413 and "more than 0.0 MB" in answer.values["error"]
    assert answer.taken == 50 and not tried.predictor.asked
    declared = tried("POST", "/predict?name=a.npy", chunks, {"content-length": "15000"})
    assert declared.status == 413 and declared.taken == 50


def test_a_request_has_its_time(model: str) -> None:
    tried = Tried(model, Limits(bytes=1000, seconds=0.5, frames=100))
    tried.predictor.waits = True
    answer = tried("POST", "/predict", [CLIP], JSON)
    assert answer.status == 503 and "took more than 0.5 s" in answer.values["error"]
    assert tried.predictor.was_cancelled


def test_a_client_that_leaves_ends_its_work(tried: Tried) -> None:
    tried.predictor.waits = True
    tried("POST", "/predict", [CLIP], JSON, leaves=True)
    assert tried.predictor.was_cancelled


def test_too_many_requests_at_a_time_are_refused(
    tried: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hhmnet_platform.serving.server.application.MAX_REQUESTS", 2)
    tried.predictor.waits = True

    async def three() -> list[Called]:
        tasks = [
            asyncio.create_task(call(tried.app, "POST", "/predict", [CLIP], JSON)) for _ in range(2)
        ]
        while len(tried.predictor.asked) < 2:
            await asyncio.sleep(0.01)
        third = await call(tried.app, "POST", "/predict", [CLIP], JSON)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        tried.predictor.waits = False
        return [third, await call(tried.app, "POST", "/predict", [CLIP], JSON)]

    refused, answered = asyncio.run(three())
    assert refused.status == 503 and "is busy (2 requests at a time)" in refused.values["error"]
    assert answered.status == 200


def test_a_thousand_classes_are_answered(model: str, clips: ClipSet) -> None:
    names = tuple(f"Aktion <{number}> & 動作" for number in range(1000))
    answers = Answers(replace(read_description(model), class_names=names))
    row = np.random.default_rng(1).dirichlet(np.ones(1000))
    values = json.loads(json.dumps(answers.clip(row)))
    assert [values["probabilities"][name] for name in names] == row.tolist()
    assert values["label"] == names[row.argmax()]


def test_half_of_a_surrogate_pair_is_answered(tried: Tried) -> None:
    body = b'{"clips": [1], "\\ud800": 1}'
    answer = tried("POST", "/predict", [body], JSON)
    assert answer.status == 400 and "The JSON has the keys clips, ?" in answer.values["error"]
