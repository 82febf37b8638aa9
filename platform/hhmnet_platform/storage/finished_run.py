"""Finished runs of a workspace: their result, read once, and their score tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from hhmnet_core.checks.names import check_name
from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_platform.members import TRAINED
from hhmnet_platform.storage.results import RESULT, RunResult
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.storage.scores import load_scores
from hhmnet_platform.storage.workspace import Workspace
from hhmnet_platform.tracking import tags


@dataclass(frozen=True)
class FinishedRun:
    """A finished run.

    Attributes:
        folder: Its folder.
        result: Its result.
    """

    folder: RunFolder
    result: RunResult

    @classmethod
    def read(cls, folder: RunFolder) -> "FinishedRun":
        """Read a run. Raises InputError where it does not exist or is unfinished."""
        result = folder.read_result()
        if result is None:
            raise InputError(f"Run {folder.uri} {folder.missing_result}.")
        return cls(folder, result)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def networks(self) -> tuple[str, ...]:
        """The members that it trained."""
        return TRAINED[self.result.phase]

    @property
    def guide_name(self) -> str:
        """Name of the phase-1 run that guided it. "" for none."""
        return self.result.tags.get(tags.GUIDE, "")

    @property
    def checkpoint(self) -> str:
        """URI of its last checkpoint."""
        return f"{self.folder.uri}/{self.result.checkpoint}"

    def scores(self, member: str, split: str) -> ScoreTable:
        """Return a score table. Raises InputError where it is missing or damaged."""
        return load_scores(self.folder, member, split)


def finished_runs(workspace: Workspace, names: Sequence[str]) -> list[FinishedRun]:
    """Return runs of a workspace.

    Raises InputError where a name is missing, given twice or unusable, or where a run does not
    exist, is unfinished, or was trained by another protocol than the first.
    """
    check_run_names(names)
    runs: list[FinishedRun] = []
    for name in names:
        run_folder = workspace.run(name)
        result = run_folder.read_result()
        if result is None:
            known = ", ".join(_finished_names(workspace)) or "none"
            raise InputError(
                f"Run {run_folder.uri} {run_folder.missing_result}. Give finished runs of "
                f"--workspace, which has {known}."
            )
        runs.append(FinishedRun(run_folder, result))
        protocol = runs[0].result.protocol
        if result.protocol != protocol:
            raise InputError(
                f"Run {name} was trained by protocol {result.protocol}, {names[0]} by "
                f"{protocol}: give runs of one protocol."
            )
    return runs


def check_run_names(names: Sequence[str]) -> None:
    """Raise InputError where names of runs are missing, given twice, or unusable."""
    if not names:
        raise InputError("--runs is missing: give the names of finished runs, such as --runs A B.")
    for name in names:
        check_name(name)
        if names.count(name) > 1:
            raise InputError(f"--runs names {name} twice: give each run once.")


def _finished_names(workspace: Workspace) -> list[str]:
    names = workspace.run_names()
    return [name for name in names if RESULT in workspace.run(name).files.names()]
