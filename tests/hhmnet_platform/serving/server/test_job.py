"""Options of a server that are out of range."""

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.serving.server.job import ServeJob


@pytest.mark.parametrize(
    "options",
    [
        {"port": -1},
        {"port": 65_536},
        {"max_mb": 0},
        {"max_seconds": 0},
        {"max_frames": 0},
        {"replicas": 0},
        {"batch": 0},
        {"batch_ms": -1.0},
        {"batch_ms": float("nan")},
        {"max_bodies": 33},
    ],
)
def test_values_out_of_range_are_named(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(options))} must be"):
        ServeJob(**options)  # type: ignore[arg-type]


def test_defaults_are_private() -> None:
    job = ServeJob()
    assert job.host == "127.0.0.1" and not job.token_file and job.max_mb == 64
