"""Live predictions of real streams over loopback, and sources that cannot be used."""

import io
import itertools
import json
import signal
import socket
import sys
import threading
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import av
import pytest
import video_sender
from person_videos import moving
from processes import Process, Starter, wait_until

from hhmnet_core.errors import InputError
from hhmnet_core.live import stream
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_platform.serving.job import PredictJob
from hhmnet_platform.serving.live import predictor
from hhmnet_platform.serving.predict import run_predict

PREDICT = Path(__file__).parents[3] / "experiments" / "predict.py"
SENDER = Path(video_sender.__file__)


def send(starter: Starter, port: int) -> tuple[Process, int]:
    """Start a sender over TCP, and return it with its port."""
    sender = starter.program(sys.executable, SENDER, "tcp", port)
    return sender, int(sender.wait_for(r"listens on (\d+)", 60)[1])


def rows_of(out: Path) -> list[dict[str, object]]:
    text = out.read_text() if out.exists() else ""
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def job(model: str, tmp_path: Path, given: str, **options: object) -> PredictJob:
    return PredictJob(model=model, input=given, workspace=str(tmp_path), **options)  # type: ignore[arg-type]


@pytest.mark.integration
@pytest.mark.usefixtures("pose_models")
def test_a_stream_that_breaks_off_and_is_interrupted(
    model: str, starter: Starter, tmp_path: Path
) -> None:
    sender, port = send(starter, 0)
    out, video = tmp_path / "out.jsonl", tmp_path / "out.mp4"
    live = starter.script(
        PREDICT, "--model", model, "--input", f"tcp://127.0.0.1:{port}", "--window", "1s",
        "--stride", "0.25s", "--threshold", "0", "--out", out, "--render", video,
    )  # fmt: skip
    wait_until(lambda: live.returncode is not None or len(rows_of(out)) >= 4, "predictions")
    sender.stop()
    live.wait_for("The source is lost: it has ended", 30)
    before = len(rows_of(out))
    sender, _ = send(starter, port)
    live.wait_for(r"The source sends images again, after \d+\.\d s", 60)
    wait_until(lambda: live.returncode is not None or len(rows_of(out)) >= before + 4, "more")
    live.popen.send_signal(signal.SIGINT)
    assert live.finish(60) == 130, live.output
    sender.stop()
    assert "Traceback" not in live.output and live.output.endswith("interrupted.\n")

    rows = rows_of(out)
    assert {row["action"] for row in rows} <= {"red", "green", "blue", "nobody"}
    for one, two in itertools.pairwise(rows):
        assert one["time"] < two["time"] and one["images_seen"] < two["images_seen"]  # type: ignore[operator]
    for row in rows:
        assert 0 <= row["lag_ms"] and 0 < row["age_ms"] < 20_000  # type: ignore[operator]
        if row["action"] != "nobody":
            assert sum(row["probabilities"].values()) == pytest.approx(1)  # type: ignore[attr-defined]
            assert row["confidence"] == max(row["probabilities"].values())  # type: ignore[attr-defined]
    assert any(row["probabilities"] for row in rows)

    with av.open(str(video)) as file:
        frames = list(file.decode(video=0))
    # Every image that was not dropped or left out is drawn, up to the ones that were interrupted.
    counts = r"^(\d+) images, (\d+) dropped; .*?(?:; (\d+) images left out of the video)?\.$"
    seen, dropped, left_out = (int(count or 0) for count in live.wait_for(counts, 1).groups())
    assert seen - dropped - left_out - 2 <= len(frames) <= seen - dropped - left_out
    # At the pace of the source: the break is as long in the video as it was.
    begin, end = (datetime.fromisoformat(str(rows[at]["time"])) for at in (0, -1))
    assert frames[-1].time is not None
    age = float(rows[-1]["age_ms"]) / 1000  # type: ignore[arg-type]
    assert frames[-1].time > (end - begin).total_seconds() - age


@pytest.mark.usefixtures("pose_models")
def test_a_duration_ends_it(
    model: str, starter: Starter, tmp_path: Path, free_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    sender = starter.program(sys.executable, SENDER, "udp", free_port)
    out = tmp_path / "out.json"
    run_predict(
        job(
            model, tmp_path, f"udp://127.0.0.1:{free_port}",
            duration="3.5s", window="1s", out=str(out), threshold=1.0,
        )
    )  # fmt: skip
    sender.stop()
    rows = rows_of(out)
    assert rows and rows[-1]["action"] == "unsure" and rows[-1]["predicted"] is not None
    shown = capsys.readouterr().out.splitlines()
    assert shown[1] == f"Source   udp://127.0.0.1:{free_port} (Ctrl-C ends it)"
    assert any("unsure (" in line for line in shown)
    assert f"{len(rows)} predictions, " in shown[-2] and shown[-1] == f"Written  {out}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("tcp://127.0.0.1:{}", "connection refused; check the address"),
        ("http://127.0.0.1:{}/store", "a store or folder ends with a slash"),
        ("udp://no-such-host.invalid:{}", "no-such-host.invalid"),
        ("/dev/video97", "no such file or directory"),
        ("97", "97 cannot be opened: no such file or directory"),
        ("rtsp://me:secret@127.0.0.1:{}/a", "rtsp://127.0.0.1:.* cannot be opened"),
    ],
)
@pytest.mark.usefixtures("pose_models")
def test_sources_that_are_not_there(
    given: str, message: str, model: str, tmp_path: Path, free_port: int,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(stream, "OPEN_SECONDS", 2.0)
    out, video = tmp_path / "out.jsonl", tmp_path / "out.mp4"
    with pytest.raises(InputError, match=message) as caught:
        run_predict(job(model, tmp_path, given.format(free_port), out=str(out), render=str(video)))
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value) + capsys.readouterr().out
    assert not out.exists() and not video.exists()


def stream_without_keyframe() -> bytes:
    """Return a transport stream that was joined after its only keyframe."""
    file, offset = io.BytesIO(), 0
    with av.open(file, "w", format="mpegts", options={"flush_packets": "1"}) as out:
        options = {"preset": "ultrafast", "tune": "zerolatency", "g": "1000", "sc_threshold": "0"}
        added = out.add_stream("libx264", rate=25, options=options)
        added.height, added.width, added.pix_fmt = 360, 480, "yuv420p"
        for image in moving(50, step=2):
            out.mux(added.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            offset = offset or file.tell()
    return file.getvalue()[offset:]


@pytest.mark.usefixtures("pose_models")
def test_a_stream_without_images(model: str, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port, content, kept = server.getsockname()[1], stream_without_keyframe(), []

        def answer() -> None:
            connection, _ = server.accept()
            connection.sendall(content)
            kept.append(connection)

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(InputError, match="has sent no image: check the source"):
            run_predict(
                job(model, tmp_path, f"tcp://127.0.0.1:{port}", duration="0.5s", render=str(out))
            )
        kept[0].close()
    assert not out.exists()


@pytest.mark.integration
@pytest.mark.usefixtures("pose_models")
def test_an_error_is_one_line_without_the_password(
    model: str, starter: Starter, tmp_path: Path, free_port: int
) -> None:
    given = f"rtsp://me:secret@127.0.0.1:{free_port}/a"
    failed = starter.script(PREDICT, "--model", model, "--input", given)
    assert failed.finish(60) == 2
    assert "secret" not in failed.output
    errors = [line for line in failed.output.splitlines() if line.startswith("error: ")]
    assert errors == [
        f"error: rtsp://127.0.0.1:{free_port}/a cannot be opened: connection refused; check the "
        "address and that it is sending."
    ]


def test_models_that_cannot_read_a_camera() -> None:
    layout, description = get_layout("kinect_v1_20"), SimpleNamespace(name="films")
    films = SimpleNamespace(reads_video=True, layout=layout, description=description)
    with pytest.raises(
        InputError, match=r"network of films reads whole clips.*--without_video true"
    ):
        predictor(PredictJob(input="0"), films, "0")  # type: ignore[arg-type]
    metres = SimpleNamespace(reads_video=False, layout=layout)
    with pytest.raises(InputError, match="coco_17"):
        predictor(PredictJob(input="0", estimator="rtmlib"), metres, "0")  # type: ignore[arg-type]
