"""Trainings that are held at the end of an epoch, so that a test can act at that moment."""

import sys
from pathlib import Path

from processes import Process, Starter, wait_until

SCRIPT = Path(__file__).with_name("held_training.py")
EVERY_EPOCH = "--min_checkpoint_seconds=0"  # has a checkpoint


class Held:
    """Holds a training at the end of epochs, before their checkpoints; none is held by default.

    Args:
        starter: Starts the training.
        folder: For the files by which the workers and the test know of each other.
    """

    def __init__(self, starter: Starter, folder: Path) -> None:
        self._starter, self.folder = starter, folder
        folder.mkdir()
        self.save_all()

    def save_until(self, epoch: int) -> None:
        """Let the workers save the epochs up to this one; after the next they wait."""
        (self.folder / "new-limit").write_text(str(epoch))
        (self.folder / "new-limit").rename(self.folder / "limit")

    def save_all(self) -> None:
        """Hold nothing from now on."""
        self.save_until(sys.maxsize)

    def script(self, script: Path, *arguments: object) -> Process:
        """Start a training script with its imports done."""
        return self._starter.script(SCRIPT, self.folder, script, EVERY_EPOCH, *arguments)

    def program(self, script: Path, *arguments: object, env: dict[str, str]) -> Process:
        """Start a training script in another environment: for Ray, from the imports on."""
        command = (sys.executable, SCRIPT, self.folder, script, EVERY_EPOCH, *arguments)
        return self._starter.program(*command, env=env)

    def wait(self, process: Process, epoch: int, workers: int) -> list[int]:
        """Wait until workers are held after an epoch; return the ids of their processes."""
        what = f"{workers} workers at the end of epoch {epoch}"
        wait_until(lambda: self.is_held(process, epoch, workers), what, 300)
        return self._pids(epoch)

    def is_held(self, process: Process, epoch: int, workers: int) -> bool:
        """Return whether workers are held after an epoch; AssertionError where there are none."""
        assert process.returncode is None, process.output
        return len(self._pids(epoch)) >= workers

    def _pids(self, epoch: int) -> list[int]:
        return [int(at.name.split("-")[1]) for at in self.folder.glob(f"{epoch}-*")]
