"""The options of a live prediction: its times, and options that only recordings have."""

import re
from dataclasses import dataclass

from hhmnet_core.errors import InputError
from hhmnet_core.live.window import DEFAULT_RATE
from hhmnet_core.rendering.encoding import check_video_name
from hhmnet_platform.serving.inputs import MAX_FPS
from hhmnet_platform.serving.job import PredictJob
from hhmnet_platform.serving.live_output import check_rows_name, local_file
from hhmnet_platform.serving.recognition import parse_duration

WINDOW, STRIDE = "2s", "0.5s"
_SECONDS = re.compile(r"(\d+(?:\.\d*)?|\.\d+)s?")


@dataclass(frozen=True)
class LiveTimes:
    """Times of a live prediction.

    Attributes:
        rate: Frames per second of the poses.
        window: Seconds that are predicted.
        stride: Seconds from one prediction to the next.
        duration: Seconds after which it ends. None: when it is interrupted.
    """

    rate: float
    window: float
    stride: float
    duration: float | None

    @classmethod
    def of(cls, job: PredictJob) -> "LiveTimes":
        """Return the times that a job gives. Raises InputError for texts that are none."""
        rate = DEFAULT_RATE if job.fps is None else job.fps
        if not 0 < rate <= MAX_FPS:
            raise InputError(f"fps must be above 0 and at most {MAX_FPS}, but is {rate}.")
        duration = _SECONDS.fullmatch(job.duration.strip()) if job.duration else None
        if job.duration and not (duration and float(duration[1])):
            raise InputError(f"--duration is {job.duration!r}, expected a time such as 60s.")
        return cls(
            rate,
            parse_duration(job.window or WINDOW, rate, "--window") / rate,
            parse_duration(job.stride or STRIDE, rate, "--stride") / rate,
            float(duration[1]) if duration else None,
        )


def check_live(job: PredictJob) -> None:
    """Raise InputError for options that a live input does not have."""
    LiveTimes.of(job)
    for option in ("layout", "axes"):
        if getattr(job, option):
            raise InputError(f"--{option} is for skeleton files, but --input is live.")
    if job.workers is not None:
        raise InputError("--workers is for many recordings, but --input is live.")
    if job.missing == "refuse":
        raise InputError(
            "--missing refuse would end a live prediction at the first hidden joint: give hold or "
            "interpolate."
        )
    if job.out:
        check_rows_name(job.out)
        local_file(job.out, "--out")
    if job.render:
        check_video_name(job.render)
        local_file(job.render, "--render")
