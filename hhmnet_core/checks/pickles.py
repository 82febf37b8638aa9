"""The one place where anything is unpickled: plain containers and NumPy arrays, and nothing else.

A pickle is a program. This reader runs none of what it names but the functions by which NumPy
rebuilds arrays and scalars, and these only as NumPy itself calls them.
"""

import io
import pickle
import re
from typing import Any

import numpy as np

from hhmnet_core.errors import InputError

_ERRORS = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError,
    ImportError, OverflowError, MemoryError, RuntimeError, UnicodeError,
)  # fmt: skip


def load_pickle(content: bytes, where: str) -> Any:
    """Return the value of a pickle of containers, texts, numbers and NumPy arrays of numbers.

    Args:
        content: The pickle.
        where: Name of the file, for messages.

    Raises:
        InputError: Not a pickle, a damaged one, or one that names anything else.
    """
    try:
        return _Reader(io.BytesIO(content)).load()
    except _ERRORS as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{where} cannot be read as a pickle of plain values and NumPy arrays ({reason}): get "
            "it again, or save it with such values only."
        ) from error


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = _ALLOWED.get((module.replace("numpy._core", "numpy.core"), name))
        if found is None:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not run")
        return found

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to values outside of the file")


class _Kind:
    """What NumPy names as the type of an array object."""


class _Type:
    """A type of numbers or texts, from the code and the state that NumPy gives it."""

    def __init__(self, code: Any, *_: Any) -> None:
        code = code.decode("ascii") if isinstance(code, bytes) else code
        if not isinstance(code, str) or not re.fullmatch(r"[biufcUS]\d{1,9}", code):
            raise pickle.UnpicklingError("an array holds Python objects")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        order, *composed = state[1:5]
        if order not in ("<", ">", "|", "=") or any(each is not None for each in composed):
            raise pickle.UnpicklingError("an array is of a composed type")
        self.dtype = self.dtype.newbyteorder(order)


class _Array(np.ndarray):
    """An array that takes no state but NumPy's own."""

    def __setstate__(self, state: Any) -> None:
        version, shape, kind, is_fortran, content = state
        if not isinstance(kind, _Type) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("an array is filled in another way than by NumPy")
        super().__setstate__((version, shape, kind.dtype, is_fortran, content))


def _empty_array(kind: Any, shape: Any, code: Any) -> Any:
    """Return the array that NumPy begins an array with; its state, which follows, fills it."""
    if kind is not _Kind or shape != (0,) or code not in (b"b", "b"):
        raise pickle.UnpicklingError("an array is begun in another way than by NumPy")
    return np.ndarray.__new__(_Array, (0,), np.int8)


def _from_buffer(buffer: Any, kind: Any, shape: Any, order: Any) -> Any:
    if not isinstance(kind, _Type) or not isinstance(buffer, (bytes, bytearray)):
        raise pickle.UnpicklingError("an array is filled in another way than by NumPy")
    return np.frombuffer(buffer, dtype=kind.dtype).reshape(shape, order=order)


def _scalar(kind: Any, content: Any = b"") -> Any:
    if not isinstance(kind, _Type) or not isinstance(content, bytes):
        raise pickle.UnpicklingError("a number is made in another way than by NumPy")
    (value,) = np.frombuffer(content, dtype=kind.dtype)
    return value


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("bytes are made in another way than by Python")
    return text.encode("latin1")


def _no_bytes(*arguments: Any) -> bytes:
    if arguments:
        raise pickle.UnpicklingError("bytes are made in another way than by Python")
    return b""


def _dictionary(*items: Any) -> dict[Any, Any]:
    return dict(*items)


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy", "ndarray"): _Kind,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,  # in old protocols
    ("collections", "OrderedDict"): _dictionary,
}
