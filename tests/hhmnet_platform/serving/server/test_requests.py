"""Bodies of requests, good ones and all others."""

import asyncio
import io
import json
import zipfile

import numpy as np
import pytest
from starlette.datastructures import Headers

from hhmnet_platform.serving.server.parameters import Parameters
from hhmnet_platform.serving.server.refusals import RefusalError
from hhmnet_platform.serving.server.requests import (
    MAX_ARRAYS,
    MAX_CLIPS,
    MAX_JSON,
    Upload,
    check_expansion,
    parse_body,
    parse_clips,
)


def body_of(
    headers: dict[str, str], body: bytes = b"12", parameters: Parameters | None = None
) -> Upload | bytes:
    return asyncio.run(parse_body(Headers(headers), body, parameters or Parameters()))


def form(*parts: tuple[str, bytes]) -> tuple[dict[str, str], bytes]:
    """A form of parts: what follows `form-data` in their headers, and their content."""
    lines = [
        b"--edge\r\nContent-Disposition: form-data; "
        + head.encode()
        + b"\r\n\r\n"
        + content
        + b"\r\n"
        for head, content in parts
    ]
    headers = {"content-type": "multipart/form-data; boundary=edge"}
    return headers, b"".join(lines) + b"--edge--\r\n"


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_json_without_a_name_holds_clips_and_with_one_is_a_file() -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    assert body_of(headers) == b"12"
    assert body_of(headers, b"12", Parameters(name="a.json")) == Upload("a.json", b"12")


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"content-disposition": 'attachment; filename="a.npy"'}, "a.npy"),
        ({"content-disposition": "attachment; filename*=UTF-8''%E5%8B%95.mp4"}, "動.mp4"),
        ({"content-disposition": 'attachment; filename="../../b/C.MP4"'}, "C.mp4"),
        ({"content-disposition": 'attachment; filename="c:\\\\d\\\\e.npz"'}, "e.npz"),
        ({"content-disposition": 'attachment; filename=".npy"'}, "recording.npy"),
        ({"content-disposition": 'attachment; filename="a\tb;<c>.npy"'}, "a_b__c_.npy"),
        ({"content-type": "video/mp4"}, "video.mp4"),
        ({"content-type": "Video/WebM; codecs=vp9"}, "video.webm"),
    ],
)
def test_names_of_files(headers: dict[str, str], name: str) -> None:
    assert body_of(headers) == Upload(name, b"12")


def test_a_long_name_is_cut_and_keeps_its_ending() -> None:
    upload = body_of({}, b"12", Parameters(name=f"{'a' * 5000}.skeleton"))
    assert isinstance(upload, Upload) and len(upload.name) < 120
    assert upload.name.endswith("a.skeleton") and not upload.is_video
    assert Upload("a.mov", b"").is_video
    # File systems count bytes.
    for letter in ("動", "é"):
        other = body_of({}, b"12", Parameters(name=f"{letter * 200}.npy"))
        assert isinstance(other, Upload) and len(other.name.encode()) < 120
        assert other.name.endswith(f"{letter}.npy")


@pytest.mark.parametrize(
    ("headers", "name", "message"),
    [
        ({}, "", "Content-Type is 'missing', expected application/json"),
        ({"content-type": "text/plain"}, "", "Content-Type is 'text/plain'"),
        ({}, "a.exe", "'a.exe' is no .npy"),
        ({}, "a", "'a' is no .npy"),
        ({}, "a.pkl", "'a.pkl' is no .npy"),
        ({}, "a.csv", "'a.csv' is no .npy"),
        ({"content-type": "video/unheard-of"}, "", "Content-Type is 'video/unheard-of'"),
    ],
)
def test_other_kinds_are_refused(headers: dict[str, str], name: str, message: str) -> None:
    with pytest.raises(RefusalError) as caught:
        body_of(headers, b"12", Parameters(name=name))
    assert caught.value.status == 415 and message in caught.value.message


def test_a_form_holds_one_file() -> None:
    file = ('name="file"; filename="a.NPY"', b"1\r\n2")
    assert body_of(*form(file)) == Upload("a.npy", b"1\r\n2")
    assert body_of(*form(('name="note"', b"x"), file)) == Upload("a.npy", b"1\r\n2")


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        (form(), 400, "The form"),
        (form(('name="note"', b"x")), 400, "holds no file"),
        (form(*[('name="f"; filename="a.npy"', b"1")] * 2), 400, "Too many files"),
        (form(*[('name="note"', b"x")] * 3), 400, "Too many fields"),
        (form(('name="f"; filename="a.npy"', b"")), 400, "a.npy is empty"),
        (form(('name="f"; filename="a.py"', b"1")), 415, "'a.py' is no"),
        (({"content-type": "multipart/form-data"}, b"x"), 400, "cannot be read"),
        (({"content-type": "multipart/form-data; boundary=b"}, b"x"), 400, "The form"),
    ],
)
def test_forms_that_are_refused(
    given: tuple[dict[str, str], bytes], status: int, message: str
) -> None:
    with pytest.raises(RefusalError) as caught:
        body_of(*given)
    assert caught.value.status == status and message in caught.value.message


def test_clips_of_json() -> None:
    one, other = np.ones((4, 3, 2)).tolist(), np.zeros((2, 4, 3, 2), int).tolist()
    clips = parse_clips(json.dumps({"clips": [one, other], "layout": "coco_17"}).encode())
    assert [array.shape for array in clips.arrays] == [(4, 3, 2), (2, 4, 3, 2)]
    assert clips.layout == "coco_17"
    value = 0.1 + 0.2
    (array,) = parse_clips(json.dumps({"clips": [[[[value]]]]}).encode()).arrays
    assert (
        array[0, 0, 0] == value
        and parse_clips(b'{"clips": [[[[1]]]], "layout": null}').layout == ""
    )


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "is not JSON"),
        (b"\xff\xfe\x00", 400, "is not JSON"),
        (b"null", 400, "The JSON is a NoneType"),
        (b"[]", 400, "The JSON is a list"),
        (b"{}", 400, "The JSON has the keys none"),
        (b'{"clip": []}', 400, "The JSON has the keys clip"),
        (b'{"clips": [], "fps": 3}', 400, "The JSON has the keys clips, fps"),
        (b'{"clips": []}', 400, "a list of one or more"),
        (b'{"clips": {"a": 1}}', 400, "a list of one or more"),
        (b'{"clips": [1], "layout": 5}', 400, "layout a name"),
        (b'{"clips": [[[[1]]]], "layout": "a"}', 400, "Unknown skeleton layout 'a'"),
        (b'{"clips": [[[[1]]]], "clips": []}', 400, "given twice"),
        (b'{"clips": [[[[1]]], [[[1], [1, 2]]]]}', 422, "Clip 1 is [[[1], [1, 2]]]"),
        (b'{"clips": [[1, 2]]}', 422, "Clip 0 is [1, 2]"),
        (b'{"clips": ["abc"]}', 422, 'Clip 0 is "abc"'),
        (b'{"clips": [[[["1"]]]]}', 422, "expected numbers"),
        (b'{"clips": [[[[true]]]]}', 422, "expected numbers"),
        (b'{"clips": [[[[null]]]]}', 422, "expected numbers"),
        (b'{"clips": [{"a": 1}]}', 422, "expected numbers"),
        (b'{"clips": [[[[99999999999999999999]]]]}', 400, "more than 64 bits"),
        (b"[" * 100_000, 400, "nested"),
        (json.dumps({"clips": [0] * (MAX_CLIPS + 1)}).encode(), 413, "has 257 clips"),
        (b" " * (MAX_JSON + 1), 413, "The JSON has 16.0 MB"),
    ],
)
def test_json_that_is_refused(body: bytes, status: int, message: str) -> None:
    with pytest.raises(RefusalError) as caught:
        parse_clips(body)
    assert caught.value.status == status and message in caught.value.message


def npz(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", content)
    return file.getvalue()


def claim(frames: int) -> bytes:
    """The header of an array of some frames, without the array."""
    file = io.BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (frames, 20, 3)}
    np.lib.format.write_array_header_1_0(file, shape)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.npy", claim(10**6)),
        ("a.npy", claim(10**17)),
        ("a.npz", npz(bytes(MAX_ARRAYS + 1))),
        ("a.npy", npz(bytes(MAX_ARRAYS + 1))),  # NumPy looks at the content, not at the name
        ("a.json", b"[" * (MAX_JSON + 1)),
        ("a.skeleton", b"1\n" * MAX_JSON),
    ],
)
def test_files_that_would_expand_are_refused_by_their_headers(name: str, content: bytes) -> None:
    with pytest.raises(RefusalError) as caught:
        check_expansion(Upload(name, content))
    assert caught.value.status == 413 and name in caught.value.message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.npy", npy(np.ones((9, 20, 3)))),
        ("a.npz", npz(npy(np.ones((9, 20, 3))))),
        ("a.json", b"[[[1]]]"),
        ("a.npy", b"text"),
        ("a.npz", b"PK\x03\x04 cut off"),
    ],
)
def test_small_and_damaged_files_pass(name: str, content: bytes) -> None:
    check_expansion(Upload(name, content))
