"""Messages of readers as those of a request."""

import pytest

from hhmnet_core.errors import AccessError, InputError
from hhmnet_platform.serving.server.refusals import RefusalError


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "give --missing hold (a) or --missing interpolate.",
            "give ?missing=hold (a) or ?missing=interpolate.",
        ),
        (
            "--window 2s is too long: give --fps, or 60f.",
            "?window=2s is too long: give ?fps=, or 60f.",
        ),
        ("Give --axes CVT if it is that.", "Give ?axes=CVT if it is that."),
        ("a larger --stride, or --max_frames 9.", "a larger ?stride=, or --max_frames 9."),
        ("two\n  lines", "two lines"),
    ],
)
def test_options_become_parameters(message: str, expected: str) -> None:
    refusal = RefusalError.of(InputError(message))
    assert (refusal.status, refusal.message) == (422, expected)


def test_what_cannot_be_read_at_present_may_be_tried_again() -> None:
    assert RefusalError.of(AccessError("The disk is away.")).status == 503
