"""Ray's log messages in one line each: the command itself reports what ends it."""

import logging

from hhmnet_core.passwords import one_line

_LOGGERS = ("ray.tune.execution.experiment_state", "ray.tune.execution.tune_controller")
_LONGEST = 300  # characters of an error


class _WithoutTraceback(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:
            message, error = record.getMessage().strip(), one_line(record.exc_info[1])
            record.msg, record.args = f"{message} {error[-_LONGEST:]}", ()
            record.exc_info = record.exc_text = None
        return True


_FILTER = _WithoutTraceback()


def shorten_ray_logs() -> None:
    """Print errors of Ray Tune's trials and records without their tracebacks."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)  # once, however often it is added
