"""What the platform's tests share."""

import time
from collections.abc import Callable

import pytest


@pytest.fixture
def wait() -> Callable[..., None]:
    """`wait(condition, what)`: until the condition is true."""

    def until(true: Callable[[], object], what: str, seconds: float = 60) -> None:
        ends = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < ends, f"waited {seconds} s for {what}"
            time.sleep(0.02)

    return until
