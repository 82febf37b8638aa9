"""Options of a live prediction, and those that only recordings have."""

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.serving.job import PredictJob
from hhmnet_platform.serving.live_options import LiveTimes, check_live


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out": "out.parquet"}, "written line by line"),
        ({"out": "out.csv"}, "written line by line"),
        ({"out": "memory://a/out.jsonl"}, "not on this machine"),
        ({"render": "out.gif"}, r"is no \.mp4"),
        ({"render": "memory://a/out.mp4"}, "not on this machine"),
        ({"layout": "coco_17"}, "--layout is for skeleton files"),
        ({"axes": "TVC"}, "--axes is for skeleton files"),
        ({"workers": 2, "out": "folder"}, "--workers is for many recordings"),
        ({"missing": "refuse"}, "give hold or interpolate"),
        ({"duration": "60f"}, "--duration is '60f'"),
        ({"duration": "0s"}, "--duration is '0s'"),
        ({"window": "a"}, "--window is 'a'"),
        ({"fps": 0.0}, "fps must be above 0"),
    ],
)
def test_options_that_a_live_input_does_not_have(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_live(PredictJob(input="0", **options))  # type: ignore[arg-type]


def test_options_that_recordings_do_not_have() -> None:
    with pytest.raises(InputError, match="--duration is for a live input"):
        PredictJob(input="clip.npy", duration="60s")
    with pytest.raises(InputError, match="--stride needs --window"):
        PredictJob(input="clip.npy", stride="1s")


def test_times() -> None:
    assert LiveTimes.of(PredictJob(input="0")) == LiveTimes(30.0, 2.0, 0.5, None)
    given = PredictJob(input="0", fps=20.0, window="60f", stride="1", duration="90")
    assert LiveTimes.of(given) == LiveTimes(20.0, 3.0, 1.0, 90.0)
