"""A model served over HTTP: predictions, bad requests, the token, the page, and the end."""

import base64
import http.client
import io
import ipaddress
import json
import os
import re
import shutil
import signal
import socket
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from made_models import make_model
from person_videos import encode, moving
from playwright.sync_api import Page, expect, sync_playwright
from processes import Process, Starter, family, is_running, wait_until
from video_files import write_video_store

from hhmnet_core.deploy.model import Model, load_model
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.reading import load_clips

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
SERVE = Path(__file__).parents[2] / "experiments" / "serve.py"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TOKEN = "a-token-of-the-tests-0123456789"
MEGABYTE = 1_000_000
JSON = {"Content-Type": "application/json"}
THREADS = 8


class Answer(NamedTuple):
    status: int
    values: dict[str, Any]


class Client:
    """Requests to a server, each on a connection of its own."""

    def __init__(self, port: int, token: str = TOKEN) -> None:
        self.port, self.token = port, token

    def __call__(
        self,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
        chunked: bool = False,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        if chunked:
            sent["Transfer-Encoding"] = "chunked"
        method = "GET" if body is None else "POST"
        connection.request(method, path, body, sent, encode_chunked=chunked)  # type: ignore[arg-type]
        response = connection.getresponse()
        return Answer(response.status, json.loads(response.read()))

    def clips(self, *clips: np.ndarray, **values: object) -> Answer:
        body = {"clips": [clip.tolist() for clip in clips]} | values
        return self("/predict", json.dumps(body), JSON)

    def file(self, name: str, content: bytes, query: str = "") -> Answer:
        return self(f"/predict?name={name}{query}", content)


class Served(NamedTuple):
    process: Process
    client: Client
    model: Model
    clips: ClipSet


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipSet:
    return load_clips(write_video_store(tmp_path_factory.mktemp("serve") / "store"))


@pytest.fixture(scope="module")
def place(clips: ClipSet, tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_model(clips, tmp_path_factory.mktemp("served"), threshold=0.2)


@pytest.fixture(scope="module")
def served(
    place: str, clips: ClipSet, starter: Starter, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    process = starter.script(
        SERVE,
        *("--model", place, "--port", 0, "--workspace", tmp_path_factory.mktemp("workspace")),
        env={"HHMNET_SERVE_TOKEN": TOKEN},
    )
    port = int(process.wait_for(r"^Serving  http://127\.0\.0\.1:(\d+) until Ctrl-C$", 120)[1])
    yield Served(process, Client(port), load_model(place), clips)
    process.stop()


def probabilities_of(prediction: dict[str, Any], names: tuple[str, ...]) -> np.ndarray:
    return np.array([prediction["probabilities"][name] for name in names])


def npy(array: np.ndarray, **options: bool) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)  # type: ignore[arg-type]
    return file.getvalue()


def npz_bomb(frames: int) -> bytes:
    """An archive of zeros that is a thousand times as large once it is read."""
    header, file = io.BytesIO(), io.BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (frames, 20, 3)}
    np.lib.format.write_array_header_1_0(header, shape)
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("arr_0.npy", "w") as member,
    ):
        member.write(header.getvalue())
        for _ in range(frames // 1000):
            member.write(bytes(1000 * 20 * 3 * 8))
    return file.getvalue()


def test_predictions_equal_those_of_the_model(served: Served) -> None:
    model, given = served.model, [served.clips.clip(number).joints for number in range(5)]
    answer = served.client.clips(*given)
    assert answer.status == 200 and len(answer.values["predictions"]) == 5
    for prediction, row in zip(answer.values["predictions"], model.predict(given), strict=True):
        found = probabilities_of(prediction, model.class_names)
        np.testing.assert_allclose(found, row, rtol=0, atol=1e-12)
        assert prediction["label"] == model.class_names[row.argmax()]
        assert prediction["confidence"] == row.max()
        assert prediction["unsure"] is bool(row.max() < 0.2)


def test_files_are_predicted_as_arrays_are(served: Served) -> None:
    joints = served.clips.clip(3).joints
    expected = served.model.predict([joints])[0]
    archive = io.BytesIO()
    np.savez(archive, joints)
    form = (
        b'--X\r\nContent-Disposition: form-data; name="file"; filename="c.npy"\r\n\r\n'
        + npy(joints)
        + b"\r\n--X--\r\n"
    )
    for answer in (
        served.client.file("c.npy", npy(joints)),
        served.client.file("c.npz", archive.getvalue()),
        served.client.file("c.json", json.dumps(joints.tolist()).encode()),
        served.client("/predict", form, {"Content-Type": "multipart/form-data; boundary=X"}),
    ):
        assert answer.status == 200, answer.values
        found = probabilities_of(answer.values, served.model.class_names)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
        assert answer.values["frames"] == joints.shape[1] and "timeline" not in answer.values


def test_a_long_file_becomes_a_timeline(served: Served) -> None:
    joints = np.concatenate([served.clips.clip(n).joints[0] for n in range(4)])
    query = "&window=1s&stride=0.4s&fps=10&skeleton=1"
    values = served.client.file("long.npy", npy(joints), query).values
    line = values["timeline"]
    assert values["unit"] == "seconds" and line[0]["start"] == 0
    assert line[-1]["stop"] == pytest.approx(len(joints) / 10)
    drawn = values["skeleton"]
    assert np.array(drawn["bodies"], float).shape == (1, len(joints), 40)
    windows = [joints[each["start"] : each["stop"]] for each in drawn["windows"]]
    assert {len(window) for window in windows} == {10}
    expected = served.model.predict(windows)
    found = np.array([each["probabilities"] for each in drawn["windows"]])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)  # in batches of other sizes


def test_concurrent_requests_get_each_their_own_answer(served: Served) -> None:
    given = [served.clips.clip(number % len(served.clips)).joints for number in range(48)]
    expected = served.model.predict(given)
    with ThreadPoolExecutor(THREADS) as threads:
        answers = list(threads.map(served.client.clips, given))
    assert {answer.status for answer in answers} == {200}
    names = served.model.class_names
    found = [probabilities_of(answer.values["predictions"][0], names) for answer in answers]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_bad_requests_get_one_line_and_the_server_goes_on(served: Served) -> None:
    client, joints = served.client, served.clips.clip(0).joints
    broken = joints.copy()
    broken[0, 2, 1, 0] = np.nan
    with_objects = npy(np.array([{"a": 1}], object), allow_pickle=True)
    cases = [
        (client.file("big.mp4", bytes(500 * MEGABYTE)), 413, "has 500.0 MB, the limit of this"),
        (client("/predict?name=a.mp4", iter([bytes(MEGABYTE)] * 80), chunked=True), 413, "more"),
        (client.file("notes.mp4", b"only text " * 99), 422, "notes.mp4 cannot be used"),
        (client.file("long.npy", npy(np.ones((20_000, 20, 3), "f4"))), 422, "20000 frames"),
        (client.clips(np.ones((20_000, 20, 3))), 422, "Clip 0 has 20000 frames"),
        (client.clips(joints, broken), 422, "Clip 1: 1 positions in 1 of"),
        (client.clips(np.ones((9, 17, 2))), 422, "17 joints of 2 channels"),
        (client.clips(np.ones((9, 17, 2)), layout="coco_17"), 422, "There is no map"),
        (client.clips(joints, layout="/etc/hostname"), 400, "Unknown skeleton layout"),
        (client("/predict", b"{", JSON), 400, "is not JSON"),
        (client("/predict", b"[" * 100_000, JSON), 400, "nested"),
        (client("/predict", b'{"clips": [[[["a"]]]]}', JSON), 422, "expected numbers"),
        (client("/predict", b"", JSON), 400, "The body is empty"),
        (client.file("bomb.npz", npz_bomb(600_000)), 413, "take 288.0 MB once they are read"),
        (client.file("objects.npy", with_objects), 422, "Python objects, which are not read"),
        (client.file("code.py", b"print()"), 415, "'code.py' is no .npy"),
        (client("/predict", b"1", {"Content-Type": "text/csv"}), 415, "Content-Type is 'text/csv'"),
        (client("/predict?windo=2s", b"1"), 400, "Unknown parameter 'windo'"),
        (client.file("c.npy", npy(joints), "&window=2s"), 422, "give ?fps="),
        (client.file("c.npy", npy(np.zeros((9, 20, 3)))), 422, "c.npy shows nobody"),
        (Client(client.port, "another-token-of-16")("/predict", b"1"), 401, "The token is missing"),
        (client("/nowhere"), 404, "There is nothing at /nowhere"),
        (client("/predict"), 405, "GET is not answered here"),
    ]
    for answer, status, message in cases:
        assert answer.status == answer.values["status"] == status, (answer, message)
        assert message in answer.values["error"] and "\n" not in answer.values["error"]
        assert "/tmp" not in answer.values["error"]
    assert client("/health").values["model"] == "made"
    assert client.clips(joints).status == 200
    assert "Traceback" not in served.process.output


def test_a_client_that_leaves_or_stalls_stops_nobody(served: Served) -> None:
    stalled = socket.create_connection(("127.0.0.1", served.client.port))
    head = f"POST /predict?name=c.npy HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n"
    stalled.sendall(f"{head}Content-Length: 1000\r\n\r\nabc".encode())
    left = socket.create_connection(("127.0.0.1", served.client.port))
    left.sendall(f"{head}Content-Length: 1000\r\n\r\nabc".encode())
    left.close()
    assert served.client.clips(served.clips.clip(0).joints).status == 200
    stalled.close()


def test_without_the_token_only_the_page_and_that_the_server_is_up(served: Served) -> None:
    client = Client(served.client.port, "")
    assert client("/health") == (200, {"status": "ok", "needs_token": True})
    refused = client.file("c.npy", npy(served.clips.clip(0).joints))
    assert refused.status == 401 and TOKEN not in str(refused.values)
    known = served.client("/health").values
    assert known["classes"] == list(served.model.class_names) and known["max_mb"] == 64
    shown = [Path(f"/proc/{pid}/cmdline").read_text() for pid in family(served.process.popen.pid)]
    assert TOKEN not in "".join(shown) + served.process.output


def test_it_listens_on_the_loopback_alone(served: Served) -> None:
    addresses = listening(set(family(served.process.popen.pid)))
    assert f"127.0.0.1:{served.client.port}" in addresses
    assert {address.rpartition(":")[0] for address in addresses} == {"127.0.0.1"}, addresses


def test_a_process_that_crashes_is_started_again(served: Served) -> None:
    (reader,) = (
        pid for pid in family(served.process.popen.pid) if b"Recordings" in command_line(pid)
    )
    os.kill(reader, signal.SIGKILL)
    joints = served.clips.clip(0).joints
    assert served.client.clips(joints).status == 200

    def is_back() -> bool:
        answer = served.client.file("c.npy", npy(joints))
        assert answer.status in (200, 503), answer
        return answer.status == 200

    wait_until(is_back, "the reader of files")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        yield page
        browser.close()


DROP = """([name, content]) => {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], name));
    dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
}"""
PICTURE = "() => document.getElementById('canvas').toDataURL()"


def drop(page: Page, name: str, content: bytes) -> None:
    page.evaluate(DROP, [name, base64.b64encode(content).decode()])


def moves(page: Page) -> bool:
    pictures = set()
    for _ in range(20):
        pictures.add(page.evaluate(PICTURE))
        page.wait_for_timeout(100)
    return len(pictures) > 2


@pytest.mark.browser
def test_the_page_shows_skeletons_videos_and_errors(
    served: Served, page: Page, pose_models: None, tmp_path: Path
) -> None:
    seen: list[str] = []
    page.on("console", lambda message: seen.append(message.text))
    page.on("request", lambda request: seen.append(request.url))
    origin = f"http://127.0.0.1:{served.client.port}"
    page.goto(origin)
    page.get_by_label("Token of this server").fill(TOKEN)
    page.get_by_role("button", name="Use it").press("Enter")
    expect(page.get_by_text("made: 3 actions, kinect_v1_20")).to_be_visible()

    joints = np.concatenate([served.clips.clip(n).joints[0] for n in range(6)])
    drop(page, "long.npy", npy(joints))
    expect(page.locator("#bars li")).to_have_count(3)
    shares = [
        float(text.split()[0]) for text in page.locator("#bars span:last-child").all_inner_texts()
    ]
    assert sum(shares) == pytest.approx(100, abs=0.3) and shares == sorted(shares)[::-1]
    assert page.locator("#label").inner_text() in served.model.class_names
    assert moves(page)
    page.get_by_role("button", name="Pause").press("Enter")
    assert page.locator("#segments button").count() >= 1
    page.get_by_label("Position").focus()
    before = page.evaluate(PICTURE)
    page.keyboard.press("Home")
    assert page.evaluate(PICTURE) != before
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.screenshot(path=tmp_path / f"skeleton-{scheme}.png")

    page.locator("#file").set_input_files(
        {"name": "person.mp4", "mimeType": "video/mp4", "buffer": encode(moving(24))}
    )
    expect(page.get_by_text("person.mp4: 24 frames at 25 a second")).to_be_visible()
    assert page.evaluate("document.getElementById('video').videoWidth") == 480
    page.get_by_label("Position").fill("0.4")
    assert page.evaluate("document.getElementById('canvas').width") > 300
    assert inked(page) > 200
    page.screenshot(path=tmp_path / "video.png")

    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.screenshot(path=tmp_path / "phone.png", full_page=True)

    drop(page, "notes.mp4", b"only text")
    error = page.get_by_role("alert")
    expect(error).to_contain_text("notes.mp4 cannot be used")
    expect(page.locator("#result")).to_be_hidden()
    elsewhere = [each for each in seen if not each.startswith((origin, "blob:", "data:"))]
    refused = "Failed to load resource: the server responded with a status of 422"
    assert [each for each in elsewhere if not each.startswith(refused)] == []


def inked(page: Page) -> int:
    """Number of pixels of the canvas that are drawn."""
    count = page.evaluate("""() => {
        const canvas = document.getElementById("canvas");
        const box = [0, 0, canvas.width, canvas.height];
        const { data } = canvas.getContext("2d").getImageData(...box);
        return data.filter((value, index) => index % 4 === 3 && value > 0).length;
    }""")
    return int(count)


@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_an_interrupt_ends_it_and_leaves_nothing(number: int, served: Served) -> None:
    process = served.process
    started = [*family(process.popen.pid)]
    began = time.monotonic()
    process.popen.send_signal(number)
    assert process.finish(60) == 130
    assert time.monotonic() - began < 30
    wait_until(lambda: not any(map(is_running, started)), "the end of all processes", 10)
    assert process.output.splitlines()[-1] == "interrupted."
    assert not re.search("Traceback|Error", process.output), process.output


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def listening(pids: set[int]) -> set[str]:
    """The addresses and ports that processes listen on."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if match := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(link)):
                    inodes.add(match[1])
            except OSError:
                continue
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                host, _, port = fields[1].partition(":")
                words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
                address = ipaddress.ip_address(b"".join(words))
                mapped = getattr(address, "ipv4_mapped", None)
                addresses.add(f"{mapped or address}:{int(port, 16)}")
    return addresses
