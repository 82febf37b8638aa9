"""Runs a training script as if its epochs were long: each step is a notice, a line and a point.

noticed_training.py SCRIPT ARGUMENTS...
"""

import runpy
import sys
from typing import Any

from hhmnet_platform.cluster.ray_environment import set_ray_defaults

set_ray_defaults()  # Ray reads them when it is imported
from hhmnet_core import notices  # noqa: E402
from hhmnet_platform.figures import progress  # noqa: E402
from hhmnet_platform.runs import driver  # noqa: E402


def train_worker(settings: dict[str, Any]) -> None:
    """Train as a worker does, with a notice of each step. Runs in the worker's process."""
    from hhmnet_core import notices
    from hhmnet_platform.runs import worker

    notices.INTERVAL_SECONDS = 0.0
    worker.train_worker(settings)


driver.train_worker = train_worker
driver.LONG_EPOCH_SECONDS = driver.TRACK_SECONDS = 0.0
notices.INTERVAL_SECONDS = progress.SILENT_SECONDS = 0.0
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
