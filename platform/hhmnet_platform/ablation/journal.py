"""Recording the runs of an ablation as they end: in its file, on the terminal and in MLflow."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

from hhmnet_core.errors import InputError
from hhmnet_platform.ablation.grid import Key, Task
from hhmnet_platform.ablation.outcomes import Outcome
from hhmnet_platform.ablation.pages import ablation_run, trial_run
from hhmnet_platform.ablation.plan import Ablation
from hhmnet_platform.storage.line_files import append_line, check_appendable
from hhmnet_platform.tracking.child_runs import ChildRunWriter
from hhmnet_platform.tracking.derived_runs import (
    DerivedRun,
    begin_derived_run,
    end_derived_run,
    finish_derived_run,
)

Finished = Mapping[Key, Outcome]


class AblationPage:
    """The MLflow runs of an ablation. Its methods raise InputError where MLflow does not answer.

    Args:
        ablation: The ablation.
        name: Its name.
        uri: MLflow tracking URI.
        artifacts: Folder or URI for the artifacts of a new experiment. "" leaves it to MLflow.
        finished: Outcomes that there are already.
    """

    def __init__(
        self, ablation: Ablation, name: str, uri: str, artifacts: str, finished: Finished
    ) -> None:
        self._ablation, self._name, self._uri = ablation, name, uri
        content = self._content(finished)
        self._experiment = content.experiment
        self._run = begin_derived_run(uri, content, artifacts)
        self._writer = ChildRunWriter(uri, name, self._run)
        self.write(finished)

    @property
    def place(self) -> str:
        """Experiment and path of the page, for messages."""
        return f"experiment {self._experiment}: {self._run.page}"

    @contextmanager
    def ended_on_errors(self) -> Iterator[None]:
        """End the ablation's run as KILLED or FAILED where the block is left by an error."""
        try:
            yield
        except BaseException as error:
            with suppress(InputError):
                stopped = isinstance(error, KeyboardInterrupt)
                end_derived_run(self._uri, self._run, "KILLED" if stopped else "FAILED")
            raise

    def write(self, finished: Finished) -> None:
        """Write the finished runs that MLflow lacks."""
        subject, tasks = self._ablation.subject, self._ablation.tasks
        self._writer.write(
            [trial_run(subject, t, finished[t.key]) for t in tasks if t.key in finished]
        )

    def finish(self, finished: Finished, status: str) -> None:
        """Write what is missing, the tables and the note."""
        self.write(finished)
        finish_derived_run(self._uri, self._run, self._content(finished), status)

    def _content(self, finished: Finished) -> DerivedRun:
        ablation, outcomes = self._ablation, self._ablation.in_order(finished)
        return ablation_run(
            self._name,
            ablation.dataset,
            ablation.subject,
            ablation.identity,
            outcomes,
            len(ablation.tasks),
            ablation.tables(outcomes) if outcomes else "",
        )


class Journal:
    """Records each run as it ends.

    Args:
        ablation: The ablation.
        file: File or URI of the outcomes.
        finished: Outcomes that there are already.
        page: Its MLflow runs.

    Attributes:
        finished: Outcomes so far.
        failures: Reasons why runs failed, by their labels.
    """

    def __init__(
        self, ablation: Ablation, file: str, finished: Finished, page: AblationPage
    ) -> None:
        self.finished = dict(finished)
        self.failures: dict[str, str] = {}
        self._ablation, self._file, self._page = ablation, file, page
        self._is_tracked = True

    def missing(self) -> list[Task[Any]]:
        """Return the runs that have not finished. Raises AccessError where none can be recorded."""
        found = [task for task in self._ablation.tasks if task.key not in self.finished]
        if found:
            check_appendable(self._file)
        return found

    def end(self, task: Task[Any], outcome: Outcome | str) -> None:
        """Record the outcome of a run, or the reason why it failed."""
        if isinstance(outcome, str):
            self.failures[task.label] = outcome
            print(f"{task.label} failed: {outcome}", flush=True)
            return
        append_line(self._file, asdict(outcome))
        self.finished[task.key] = outcome
        number = f"{len(self.finished):>3} of {len(self._ablation.tasks)}"
        print(f"{number}  {task.label}: {self._scores(outcome)}", flush=True)
        if self._is_tracked:
            self._track(task.key, outcome)

    @contextmanager
    def told_when_interrupted(self) -> Iterator[None]:
        """Say what is kept where the block is left by an interrupt."""
        try:
            yield
        except KeyboardInterrupt:
            kept = f"{len(self.finished)} of {len(self._ablation.tasks)} runs are kept"
            print(f"{kept}, the same command trains the others.", flush=True)
            raise

    def check_failures(self) -> None:
        """End the process, with a line on stderr, where runs failed."""
        if self.failures:
            label, reason = next(iter(self.failures.items()))
            raise SystemExit(
                f"error: {len(self.failures)} of {len(self._ablation.tasks)} runs failed, the "
                f"first of them {label} ({reason[-300:]}): the same command trains them again."
            )

    def _track(self, key: Key, outcome: Outcome) -> None:
        try:
            self._page.write({key: outcome})
        except InputError as error:
            self._is_tracked = False  # a server that does not answer holds up all runs
            print(f"note: {error} Runs are written to it at the end.", flush=True)

    def _scores(self, outcome: Outcome) -> str:
        shares = "  ".join(f"{name} {100 * share:.1f}" for name, share in outcome.top1.items())
        loss = outcome.log_loss.get(self._ablation.subject.compared)
        added = "" if loss is None else f", log-loss {loss:.3f}"
        return f"{shares}{added}, {outcome.seconds:.0f} CPU s"
