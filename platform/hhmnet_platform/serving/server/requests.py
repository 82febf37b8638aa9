"""What the body of a request holds: clips in JSON, or one file."""

import io
import json
import math
import re
import zipfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from email.message import Message
from email.utils import collapse_rfc2231_value
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from hhmnet_core.checks.npy_header import MALFORMED as MALFORMED_NPY
from hhmnet_core.checks.npy_header import read_npy_header
from hhmnet_core.checks.parsing import parse_json
from hhmnet_core.passwords import one_line
from hhmnet_platform.serving.inputs import READ
from hhmnet_platform.serving.server.bodies import MEGABYTE
from hhmnet_platform.serving.server.parameters import Parameters, check_layout
from hhmnet_platform.serving.server.refusals import (
    MALFORMED,
    TOO_LARGE,
    UNKNOWN_KIND,
    UNUSABLE,
    RefusalError,
)
from hhmnet_platform.serving.videos import ENDINGS as VIDEOS

JSON, MULTIPART = "application/json", "multipart/form-data"
MAX_JSON = 16 * MEGABYTE  # its values take up to 48 times as much memory
MAX_ARRAYS = 256 * MEGABYTE  # of arrays in a file, once they are read
MAX_CLIPS = 256  # of one request
_LONGEST_NAME = 100  # bytes, which file systems count
_ENDING_OF = {
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
    "video/x-matroska": ".mkv",
    "video/x-msvideo": ".avi",
    "video/mpeg": ".mpg",
}


@dataclass(frozen=True)
class Upload:
    """A file.

    Attributes:
        name: Its name, without folders; the ending says how it is read.
        content: Its content.
    """

    name: str
    content: bytes

    @property
    def is_video(self) -> bool:
        return self.name.endswith(VIDEOS)


@dataclass(frozen=True)
class JsonClips:
    """Clips in a body of JSON.

    Attributes:
        arrays: Joints of each, as they are nested.
        layout: Their layout. "": the model's.
    """

    arrays: tuple[NDArray[Any], ...]
    layout: str


async def parse_body(headers: Headers, body: bytes, parameters: Parameters) -> Upload | bytes:
    """Return the file of a body, or the body itself where it is JSON with clips.

    Raises:
        RefusalError: A body of another kind, or a form that holds no file or several.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == MULTIPART:
        return await _form_file(headers, body)
    name = parameters.name or _disposition_name(headers.get("content-disposition", ""))
    if name:
        return Upload(_safe_name(name), body)
    if kind == JSON:
        return body
    if kind in _ENDING_OF:
        return Upload(f"video{_ENDING_OF[kind]}", body)
    raise RefusalError(
        UNKNOWN_KIND,
        f"Content-Type is {kind[:60] or 'missing'!r}, expected {JSON} with clips, or a file with "
        f"its name: {MULTIPART}, the header Content-Disposition, or ?name=clip.npy.",
    )


def parse_clips(body: bytes) -> JsonClips:
    """Return the clips of a body of JSON. Takes time and memory: not for an event loop.

    Raises:
        RefusalError: Not JSON, or of another form; too many clips or bytes.
    """
    if len(body) > MAX_JSON:
        raise RefusalError(
            TOO_LARGE,
            f"The JSON has {len(body) / MEGABYTE:,.1f} MB, the limit is {MAX_JSON // MEGABYTE}: "
            "send clips in several requests, or as .npy files.",
        )
    try:
        values = parse_json(body)
    except (ValueError, UnicodeDecodeError) as error:
        raise RefusalError(MALFORMED, f"The body is not JSON ({one_line(error)[:200]}).") from error
    expected = 'expected {"clips": [joints, ...]}, and "layout" if it is not that of the model'
    if not isinstance(values, dict):
        raise RefusalError(MALFORMED, f"The JSON is a {type(values).__name__}: {expected}.")
    if not {"clips"} <= set(values) <= {"clips", "layout"}:
        found = ", ".join(values)[:80] or "none"
        raise RefusalError(MALFORMED, f"The JSON has the keys {found}: {expected}.")
    clips, layout = values["clips"], values.get("layout") or ""
    if not isinstance(clips, list) or not isinstance(layout, str) or not clips:
        raise RefusalError(
            MALFORMED, f"clips must be a list of one or more, layout a name: {expected}."
        )
    if len(clips) > MAX_CLIPS:
        raise RefusalError(
            TOO_LARGE,
            f"The request has {len(clips)} clips, the limit is {MAX_CLIPS}: divide it.",
        )
    check_layout(layout)
    return JsonClips(tuple(_array(clip, at) for at, clip in enumerate(clips)), layout)


def check_expansion(upload: Upload) -> None:
    """Check how large a skeleton file is once it is read, by its headers.

    Raises:
        RefusalError: More than the limits. Files that are damaged pass; reading them reports it.
    """
    size = len(upload.content)
    if upload.name.endswith((".json", ".skeleton")):
        if size > MAX_JSON:
            raise RefusalError(
                TOO_LARGE,
                f"{upload.name} has {size / MEGABYTE:,.1f} MB of text, the limit is "
                f"{MAX_JSON // MEGABYTE}: save it as .npy, or cut it.",
            )
        return
    try:
        if zipfile.is_zipfile(io.BytesIO(upload.content)):
            with zipfile.ZipFile(io.BytesIO(upload.content)) as archive:
                size = sum(each.file_size for each in archive.infolist())
        elif upload.name.endswith((".npy", ".npz")):
            shape, _, dtype = read_npy_header(io.BytesIO(upload.content))
            size = math.prod(shape) * dtype.itemsize
    except MALFORMED_NPY:
        return
    if size > MAX_ARRAYS:
        raise RefusalError(
            TOO_LARGE,
            f"The arrays of {upload.name} take {size / MEGABYTE:,.1f} MB once they are read, the "
            f"limit is {MAX_ARRAYS // MEGABYTE}: cut the recording.",
        )


def _array(clip: object, number: int) -> NDArray[Any]:
    try:
        array = np.asarray(clip)
    except ValueError:
        array = np.asarray(None)
    if array.ndim not in (3, 4) or array.dtype.kind not in "fiu":
        raise RefusalError(
            UNUSABLE,
            f"Clip {number} is {json.dumps(clip)[:40]} ..., expected numbers nested as (frames, "
            "joints, channels), or (bodies, frames, joints, channels), in lists of equal length.",
        )
    return array


async def _form_file(headers: Headers, body: bytes) -> Upload:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield body
        yield b""

    try:
        form = await MultiPartParser(headers, chunks(), max_files=1, max_fields=1).parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        raise RefusalError(
            MALFORMED, f"The form cannot be read ({one_line(error)[:200]}): expected one file."
        ) from error
    files = [each for _, each in form.multi_items() if isinstance(each, UploadFile)]
    try:
        if len(files) != 1:
            raise RefusalError(MALFORMED, "The form holds no file: expected one, with its name.")
        name, content = _safe_name(files[0].filename or ""), await files[0].read()
    finally:
        await form.close()
    if not content:
        raise RefusalError(MALFORMED, f"{name} is empty.")
    return Upload(name, content)


def _disposition_name(header: str) -> str:
    """Return the file name of a Content-Disposition header, "" for none."""
    if not header:
        return ""
    message = Message()
    message["content-disposition"] = header
    found = message.get_param("filename", header="content-disposition")
    return collapse_rfc2231_value(found) if found else ""


def _safe_name(given: str) -> str:
    """Return a name that any file may have, with its ending in lower case.

    Raises RefusalError for an ending that is not read.
    """
    base = PurePosixPath(given.replace("\\", "/")).name
    stem, dot, ending = base.rpartition(".")
    ending = f"{dot}{ending}".lower()
    if ending not in READ:
        raise RefusalError(
            UNKNOWN_KIND, f"{base[-60:]!r} is no {', '.join(READ)} file: convert it to one of them."
        )
    plain = re.sub(r"[^\w.\- ]", "_", stem).encode()[:_LONGEST_NAME]
    stem = plain.decode(errors="ignore").strip(". ")
    return f"{stem or 'recording'}{ending}"
