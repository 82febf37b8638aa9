"""Addresses of cameras and streams, and how FFmpeg opens them.

A camera is a number or, on Linux, a device: Video4Linux there, AVFoundation on macOS, DirectShow on
Windows, where the number counts the cameras that DirectShow lists.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from hhmnet_core.errors import InputError
from hhmnet_core.passwords import without_password

STREAMS = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "tcp", "srt")
_DEVICE = re.compile(r"/dev/video\S+")
_CAMERA_RATE = "30"  # images per second; AVFoundation's own default is refused by many cameras
# Microseconds in which FFmpeg finds out what a source sends, instead of five seconds. What it has
# read until then comes at once. (Its flag `nobuffer` would drop that, and with it a keyframe.)
_AT_ONCE = {"analyzeduration": "1000000"}
_BY_SCHEME = {
    "rtsp": {"rtsp_flags": "prefer_tcp"},
    "rtsps": {"rtsp_flags": "prefer_tcp"},
    "udp": {"overrun_nonfatal": "1"},
}


@dataclass(frozen=True)
class LiveAddress:
    """A camera or stream.

    Attributes:
        given: Address as the user gave it.
        url: Address as FFmpeg takes it.
        format: Input format of FFmpeg. "": found from the content.
        options: Options of FFmpeg.
    """

    given: str
    url: str
    format: str = ""
    options: dict[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """Address for messages, without a password."""
        return without_password(self.given)

    @property
    def host(self) -> str:
        """Host of a stream. "" for a camera, and for an address without one."""
        try:
            return "" if self.format else urlsplit(self.url).hostname or ""
        except ValueError:  # a bracket that is not closed
            return ""


def live_address(
    given: str, recorded: Sequence[str] = (), system: str = sys.platform
) -> LiveAddress | None:
    """Return the camera or stream of an address, None where it is that of recordings.

    An address of http or https is one of recordings where its path ends with a slash, as that of a
    folder or store, or with an ending of their files.

    Args:
        given: The address.
        recorded: Endings of the files of recordings.
        system: System as `sys.platform` names it.

    Raises:
        InputError: A camera that Windows does not list.
    """
    if re.fullmatch(r"[0-9]+", given):
        return _camera(given, system)
    if _DEVICE.fullmatch(given):
        return LiveAddress(given, given, "v4l2", dict(_AT_ONCE))
    scheme, _, rest = given.partition("://")
    scheme = scheme.lower()
    if not rest or scheme not in STREAMS:
        return None
    if scheme in ("http", "https"):
        path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")[2].lower()
        if path.endswith(("/", *recorded)):
            return None
    return LiveAddress(given, given, "", _AT_ONCE | _BY_SCHEME.get(scheme, {}))


def _camera(number: str, system: str) -> LiveAddress:
    if system == "darwin":
        options = _AT_ONCE | {"framerate": _CAMERA_RATE}
        return LiveAddress(number, f"{number}:none", "avfoundation", options)
    if system == "win32":
        return LiveAddress(number, f"video={_windows_camera(int(number))}", "dshow", dict(_AT_ONCE))
    return LiveAddress(number, f"/dev/video{int(number)}", "v4l2", dict(_AT_ONCE))


def _windows_camera(number: int) -> str:
    import av.device

    listed = av.device.enumerate_input_devices("dshow")
    found = [device for device in listed if "video" in device.media_types]
    if number >= len(found):
        raise InputError(
            f"--input {number}, but Windows lists {len(found)} cameras: give a number below that."
        )
    return found[number].name
