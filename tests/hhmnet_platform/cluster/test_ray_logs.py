"""Ray's errors are one line, with their cause."""

import io
import logging

from hhmnet_platform.cluster.ray_logs import shorten_ray_logs


def test_error_is_one_line_with_its_cause() -> None:
    shorten_ray_logs()
    shorten_ray_logs()
    logger, output = logging.getLogger("ray.tune.execution.experiment_state"), io.StringIO()
    handler = logging.StreamHandler(output)
    logger.addHandler(handler)
    try:
        try:
            raise OSError(28, "No space\nleft")
        except OSError:
            logger.exception("Saving failed with exception:\n")
        logger.error("Plain %s", "message")
    finally:
        logger.removeHandler(handler)
    assert output.getvalue() == (
        "Saving failed with exception: [Errno 28] No space left\nPlain message\n"
    )
