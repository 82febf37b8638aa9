"""What the user is told of a worker that failed."""

import pytest

from hhmnet_platform.worker import describe


@pytest.mark.parametrize(
    ("failures", "said"),
    [
        (
            {0: RuntimeError("A worker health check failed.\nThe actor died unexpectedly")},
            "the process of worker 0 died",
        ),
        (
            {
                1: RuntimeError(
                    "health check\n2 worker(s) were killed due to the node running low on memory"
                )
            },
            "the node of worker 1 ran out of memory",
        ),
        # The others of a group fail because the first one is gone.
        (
            {0: RuntimeError("gloo: Connection closed by peer"), 3: ValueError("the\ncause")},
            "worker 3: ValueError: the cause",
        ),
    ],
)
def test_failure_is_described_in_one_line(failures: dict[int, Exception], said: str) -> None:
    assert describe(failures) == said
