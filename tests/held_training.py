"""Runs a training script, and holds its workers at the end of an epoch, before its checkpoint.

held_training.py FOLDER SCRIPT ARGUMENTS...: at the end of every epoch each worker writes the file
`FOLDER/<epoch>-<process id>`, and waits until the number in `FOLDER/limit` is at least that epoch.
"""

import os
import runpy
import sys
import time
from pathlib import Path
from typing import Any

from hhmnet_platform.cluster.ray_environment import set_ray_defaults

set_ray_defaults()  # Ray reads them when it is imported
from hhmnet_platform.runs import driver  # noqa: E402

FOLDER = Path(sys.argv[1])


def train_worker(settings: dict[str, Any]) -> None:
    """Train as a worker does, held where it names a checkpoint. Runs in the worker's process."""
    from hhmnet_platform.runs import worker

    checkpoint_name = worker.checkpoint_name

    def held(point: Any) -> str:
        if not point.step:
            (FOLDER / f"{point.epoch}-{os.getpid()}").touch()
            while int((FOLDER / "limit").read_text()) < point.epoch:
                time.sleep(0.02)
        return checkpoint_name(point)

    worker.checkpoint_name = held
    worker.train_worker(settings)


driver.train_worker = train_worker
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
