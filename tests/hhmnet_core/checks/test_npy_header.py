"""Headers of .npy files: those of NumPy, and no others."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hhmnet_core.checks.npy_header import MALFORMED, read_npy_header


@pytest.mark.parametrize("order", ["C", "F"])
def test_header_is_what_numpy_wrote(order: str) -> None:
    file = io.BytesIO()
    array = np.zeros((3, 4), np.float16, order=order)  # type: ignore[call-overload]
    np.save(file, array)
    file.seek(0)
    assert read_npy_header(file) == ((3, 4), order == "F", np.dtype(np.float16))
    assert file.tell() % 64 == 0  # where the values begin


@given(at=st.integers(0, 127), byte=st.integers(0, 255))
def test_damaged_header_is_read_or_malformed(at: int, byte: int) -> None:
    file = io.BytesIO()
    np.save(file, np.zeros(4))
    content = bytearray(file.getvalue())
    content[at] = byte
    for damaged in (bytes(content), bytes(content[:at])):
        try:
            read_npy_header(io.BytesIO(damaged))
        except MALFORMED:
            pass
