"""Parameters of a request's address, good ones and all others."""

import pytest

from hhmnet_platform.serving.server.parameters import Parameters, parse_parameters
from hhmnet_platform.serving.server.refusals import RefusalError


def test_parameters() -> None:
    query = {
        "window": "2s", "stride": "5f", "layout": "coco_17", "axes": "CTVM", "missing": "Hold",
        "fps": "12.5", "skeleton": "1", "name": "a.npy",
    }  # fmt: skip
    expected = Parameters("2s", "5f", "coco_17", "CTVM", "hold", 12.5, True, "a.npy")
    assert parse_parameters(query) == expected
    assert parse_parameters({}) == Parameters()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"windows": "2s"}, "Unknown parameter 'windows'; known are window, stride"),
        ({"window": "2 s"}, "window is '2 s', expected a length"),
        ({"stride": "1s"}, "stride needs window"),
        ({"window": "1s", "stride": "soon"}, "stride is 'soon'"),
        ({"layout": "/etc/layout.yaml"}, "Unknown skeleton layout '/etc/layout.yaml'; known are"),
        ({"axes": "ABC"}, "axes 'ABC'"),
        ({"missing": "guess"}, "missing is 'guess', expected one of refuse, hold, interpolate"),
        ({"window": "9" * 400}, "window is '999"),
        ({"fps": "fast"}, "fps is 'fast'"),
        ({"fps": "nan"}, "fps is 'nan'"),
        ({"fps": "0"}, "fps is '0'"),
        ({"skeleton": "maybe"}, "skeleton is 'maybe'"),
    ],
)
def test_parameters_that_are_refused(query: dict[str, str], message: str) -> None:
    with pytest.raises(RefusalError) as caught:
        parse_parameters(query)
    assert caught.value.status == 400 and message in caught.value.message
