"""Skeleton files of a user's own data: `.npy`, `.npz` and `.json`, as arrays in the files' order.

A `.npz` holds one array, or two: `joints` and `pixels`, their positions in the video.
"""

import io
import math
import zipfile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.checks.memory import TEXT_EXPANSION, check_file_memory
from hhmnet_core.checks.npy_header import MALFORMED, read_npy_header
from hhmnet_core.checks.parsing import parse_json
from hhmnet_core.errors import InputError
from hhmnet_core.passwords import one_line
from hhmnet_core.store.clips import Float32Array

ENDINGS = (".npy", ".npz", ".json")
_ZIP = b"PK"
_FLOAT32_BYTES = 4
_BYTES_PER_BYTE = 2  # the file, and its joints as float32
_NUMBERS = "fiu"


def check_ending(name: str, where: str) -> None:
    """Raise InputError for a file of a kind that is not read."""
    if not name.lower().endswith(ENDINGS):
        raise InputError(f"{where} is no {', '.join(ENDINGS)}: convert it to one of them.")


def expansion_of(name: str) -> int:
    """Return the bytes of memory that reading a file takes, for each byte of it."""
    return TEXT_EXPANSION if _is_json(name) else _BYTES_PER_BYTE


def parse_skeleton_file(
    content: bytes, name: str, where: str
) -> tuple[Float32Array, Float32Array | None]:
    """Return the joints of a skeleton file and, if it holds them, their pixels.

    Args:
        content: Content of the file.
        name: Name of the file, whose ending says how it is read.
        where: Description of the file, for messages.

    Raises:
        InputError: Not a file of numbers, a number that float32 cannot hold, or more memory than
            the limit.
    """
    try:
        values = [parse_json(content)] if _is_json(name) else _load_arrays(content, where)
        arrays = [np.asarray(each) for each in values]
    except MALFORMED as error:
        reason = one_line(error).partition(".  ")[0]
        if "allow_pickle" in reason or "pickle" in reason:
            reason = "it holds Python objects, which are not read"
        raise InputError(
            f"{where} cannot be read ({reason}): expected numbers, saved by np.save, np.savez or "
            "as JSON."
        ) from error
    joints, *pixels = [_as_float32(each, where) for each in arrays]
    return joints, pixels[0] if pixels else None


def _is_json(name: str) -> bool:
    return name.lower().endswith(".json")


def _as_float32(array: NDArray[Any], where: str) -> Float32Array:
    if array.dtype.kind not in _NUMBERS:
        raise InputError(
            f"{where} holds values of type {array.dtype}, expected real numbers in lists of equal "
            "length."
        )
    with np.errstate(over="ignore"):
        converted: Float32Array = np.ascontiguousarray(array, dtype=np.float32)
    if array.dtype.itemsize > _FLOAT32_BYTES and (np.isinf(converted) & np.isfinite(array)).any():
        raise InputError(
            f"{where} holds the number {float(np.abs(array[np.isfinite(array)]).max()):.3g}, "
            "beyond float32: check its unit, or repair it."
        )
    return converted


def _load_arrays(content: bytes, where: str) -> list[NDArray[Any]]:
    """Return the joints of a .npy or .npz file and, if it holds them, their pixels."""
    if not content.startswith(_ZIP):
        _check_array(io.BytesIO(content), where)
        return [np.load(io.BytesIO(content), allow_pickle=False)]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {each.filename.removesuffix(".npy"): each for each in archive.infolist()}
        names = ["joints", "pixels"] if set(members) == {"joints", "pixels"} else list(members)
        if len(names) != 1 and names != ["joints", "pixels"]:
            found = ", ".join(names) or "none"
            raise ValueError(f"it holds the arrays {found}, expected one, or joints and pixels")
        check_file_memory(sum(each.file_size for each in members.values()), where)
        for name in names:
            with archive.open(members[name]) as file:
                _check_array(file, where)
    with np.load(io.BytesIO(content), allow_pickle=False) as loaded:
        return [loaded[name] for name in names]


def _check_array(file: IO[bytes], where: str) -> None:
    """Check the size that the header of a .npy file claims, against the limit of memory."""
    shape, _, dtype = read_npy_header(file)
    check_file_memory(math.prod(shape) * (dtype.itemsize + _FLOAT32_BYTES), where)
