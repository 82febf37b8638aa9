"""Cameras and streams are told from recordings by their addresses alone."""

from types import SimpleNamespace

import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.live.addresses import live_address

RECORDED = (".mp4", ".npy", ".csv")


@pytest.mark.parametrize(
    "given",
    [
        "/dev/video0",
        "rtsp://camera/stream",
        "RTSP://camera/stream.mp4",
        "rtmp://host/app",
        "udp://239.0.0.1:1234",
        "tcp://host:1?listen=1",
        "srt://host:1",
        "http://host",
        "https://host/stream?name=a.mp4",
        "http://host/live.m3u8",
    ],
)
def test_streams_and_devices(given: str) -> None:
    found = live_address(given, RECORDED, "linux")
    assert found is not None and found.url == given
    assert found.format == ("v4l2" if given.startswith("/dev") else "")


@pytest.mark.parametrize(
    "given",
    [
        "",
        "clip.npy",
        "folder/0",
        "./0",
        "-1",
        "٣",
        "s3://bucket/store",
        "file:///video.mp4",
        "http://host/store/",
        "https://host/a.MP4?token=1",
        "http://host/list.csv#top",
        "rtsp://",
        "/dev/sda",
    ],
)
def test_recordings(given: str) -> None:
    assert live_address(given, RECORDED, "linux") is None


def test_a_number_is_a_camera_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    linux, mac = live_address("01", (), "linux"), live_address("1", (), "darwin")
    assert linux and (linux.url, linux.format) == ("/dev/video1", "v4l2")
    assert mac and (mac.url, mac.format) == ("1:none", "avfoundation")
    listed = [
        SimpleNamespace(name="Microphone", media_types=["audio"]),
        SimpleNamespace(name="Camera", media_types=["video"]),
    ]
    monkeypatch.setattr("av.device.enumerate_input_devices", lambda kind: listed)
    windows = live_address("0", (), "win32")
    assert windows and (windows.url, windows.format) == ("video=Camera", "dshow")
    with pytest.raises(InputError, match="--input 1, but Windows lists 1 cameras"):
        live_address("1", (), "win32")


def test_passwords_are_not_shown() -> None:
    found = live_address("rtsp://me:secret@camera:554/stream")
    assert found and found.shown == "rtsp://camera:554/stream" and found.host == "camera"
    assert "secret" in found.url
    broken = live_address("rtsp://[::1/stream")
    assert broken and broken.host == ""
