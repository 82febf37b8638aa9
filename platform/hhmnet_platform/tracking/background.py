"""The thread that keeps MLflow up to date, whether or not MLflow can be reached."""

import threading
from collections.abc import Callable

from hhmnet_core.errors import InputError
from hhmnet_platform.tracking.run_writer import Ending, MlflowWriter, Records

RETRY_SECONDS = 10.0


class Tracker:
    """Keeps MLflow up to date from a thread of its own, so that no server can hold up training.

    Args:
        writer: Of the run.
        say: Takes a notice for the user: MLflow is away, MLflow is back.
    """

    def __init__(self, writer: MlflowWriter, say: Callable[[str], None]) -> None:
        self._writer = writer
        self._say = say
        self._history: Records = ()
        self._ending: Ending | None = None
        self._complete = False
        self._away = False
        self._changed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._thread.start()

    @property
    def page(self) -> str:
        """The experiment's page, behind the address of MLflow's web server."""
        return f"#/experiments/{self._writer.experiment_id}/runs"

    def update(self, history: Records) -> None:
        """Hands over the whole history; returns at once."""
        self._history = history
        self._changed.set()

    def finish(self, ending: Ending, patience: float = 90.0) -> bool:
        """Writes what is left and ends the runs; whether MLflow now holds everything."""
        self._ending = ending
        self._changed.set()
        self._thread.join(patience)
        return self._complete

    def _work(self) -> None:
        while True:
            ending = self._ending
            written = self._try(ending)
            if ending is not None:
                self._complete = written
                return
            self._changed.wait(RETRY_SECONDS if self._away else None)
            self._changed.clear()

    def _try(self, ending: Ending | None) -> bool:
        try:
            if not self._writer.connected:
                self._writer.connect()
            self._writer.write(self._history)
            if ending is not None:
                self._writer.finish(ending)
        except Exception as error:  # whatever MLflow has, training goes on
            self._writer.disconnect()
            if not self._away:
                self._away = True
                self._say(
                    f"{self._reason(error)} Nothing waits for it; what is missing there is written "
                    "as soon as it can be."
                )
            return False
        if self._away:
            self._away = False
            self._say("MLflow is back, and holds everything again.")
        return True

    def _reason(self, error: Exception) -> str:
        if isinstance(error, InputError):
            return str(error)
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        said = "nobody answers" if "Max retries exceeded" in said else said[:200]
        return f"MLflow at {self._writer.run.uri} cannot be written ({said})."
