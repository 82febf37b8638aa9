"""Headers of `.npy` arrays, read before the arrays: sizes are known before memory is taken."""

import tokenize
import zipfile
import zlib
from typing import IO, Any

import numpy as np

Header = tuple[tuple[int, ...], bool, np.dtype[Any]]

_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# Errors of NumPy and zipfile for malformed `.npy` and `.npz` files.
MALFORMED = (
    ValueError, TypeError, ArithmeticError, EOFError, OSError, RuntimeError, MemoryError,
    zipfile.BadZipFile, zlib.error, tokenize.TokenError, SyntaxError,
)  # fmt: skip


def read_npy_header(file: IO[bytes]) -> Header:
    """Return shape, whether it is stored by columns, and type. Raises one of `MALFORMED`."""
    try:
        reader = _READERS.get(np.lib.format.read_magic(file))
    except ValueError as error:
        raise ValueError("it does not begin as a .npy or .npz file does") from error
    if reader is None:
        raise ValueError("it is of an unknown version of .npy")
    return reader(file)
