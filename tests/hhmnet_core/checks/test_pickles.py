"""Pickles of plain values are read as Python reads them; all others are refused and run nothing."""

import collections
import pickle
from typing import Any

import numpy as np
import pytest
from hostile_pickles import HOSTILE, MARK, check_all_parse

from hhmnet_core.checks.pickles import load_pickle
from hhmnet_core.errors import InputError

VALUE: dict[str, Any] = {
    "clips": [
        {
            "keypoint": np.arange(24, dtype=np.float16).reshape(1, 2, 6, 2),
            "label": np.int64(3),
            "score": np.float32(0.5),
            "shape": (480, 640),
        }
    ],
    "by columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big endian": np.arange(3, dtype=">i4"),
    "texts": np.array(["a", "bcd"]),
    "bytes": b"\xff\x00",
    "empty": np.zeros((0, 4), np.float32),
    "flags": np.array([True, False]),
    "ordered": collections.OrderedDict(a=1, b=2),
    "none": None,
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_read(protocol: int) -> None:
    read = load_pickle(pickle.dumps(VALUE, protocol), "a.pkl")
    assert read.keys() == VALUE.keys() and read["ordered"] == VALUE["ordered"]
    assert read["bytes"] == VALUE["bytes"] and read["none"] is None
    for found, expected in [
        *((read[name], VALUE[name]) for name in ("by columns", "big endian", "texts", "empty")),
        (read["flags"], VALUE["flags"]),
        *((read["clips"][0][name], VALUE["clips"][0][name]) for name in ("keypoint", "label")),
    ]:
        # NumPy swaps bytes as it reads, but for protocol 5.
        assert found.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickle_is_refused_and_runs_nothing(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    check_all_parse()
    with pytest.raises(InputError, match=r"a\.pkl cannot be read as a pickle of plain") as caught:
        load_pickle(HOSTILE[name], "a.pkl")
    assert "\n" not in str(caught.value)
    assert MARK not in capfd.readouterr().out


def test_every_byte_may_be_cut_off_or_wrong() -> None:
    content = pickle.dumps({"a": [np.arange(4.0), "x", (1, 2.5)]}, 4)
    random = np.random.default_rng(0)
    for at in range(len(content)):
        wrong = bytearray(content)
        wrong[at] = random.integers(256)
        for damaged in (content[:at], bytes(wrong)):
            try:
                load_pickle(damaged, "a.pkl")
            except InputError:
                pass
