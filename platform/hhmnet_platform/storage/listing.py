"""The runs of a workspace: what they are, how far they came, and what they take on disk."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_platform.members import FUSION
from hhmnet_platform.presentation.labels import WITHOUT_COPIES_HEADING, percent
from hhmnet_platform.storage.checkpoints import is_checkpoint
from hhmnet_platform.storage.results import MemberResult, RunResult
from hhmnet_platform.storage.run_folder import CONFIG, RunFolder
from hhmnet_platform.storage.workspace import Workspace, absolute_uri, default_workspace

_KINDS = ("mlartifacts", "searches", "fusions", "ensembles", "ablations", "data")  # beside runs


@dataclass
class RunsListing:
    """Which runs to list.

    Attributes:
        workspace: Folder or URI of the workspace. Default: $HHMNET_WORKSPACE, else `workspace`.
    """

    workspace: str = field(default_factory=default_workspace)


@dataclass
class RunsDisplay:
    """Which runs to show.

    Attributes:
        runs: Names of runs in the workspace.
        workspace: Folder or URI of the workspace. Default: $HHMNET_WORKSPACE, else `workspace`.
    """

    runs: list[str] = field(default_factory=list)
    workspace: str = field(default_factory=default_workspace)


@dataclass(frozen=True)
class ListedRun:
    """A run of a workspace.

    Attributes:
        folder: Its folder.
        result: Its result. None for an unfinished run, or a damaged result.
        state: "finished", "being trained", "unfinished" or "damaged".
        detail: Progress of an unfinished run, or fault of a damaged one.
        sizes: Bytes of its files, by their place: a checkpoint, model, scores, figures and others.
    """

    folder: RunFolder
    result: RunResult | None
    state: str
    detail: str
    sizes: Counter[str]

    @classmethod
    def read(cls, run: RunFolder) -> "ListedRun":
        sizes: Counter[str] = Counter()
        for path, size in run.files.sizes().items():
            sizes[path.partition("/")[0] if "/" in path else "other files"] += size
        try:
            result = run.read_result()
        except InputError:
            return cls(run, None, "damaged", "its result cannot be read", sizes)
        if result is not None:
            return cls(run, result, "finished", "", sizes)
        points = [name for name in sizes if is_checkpoint(name)]
        detail = f"checkpoint {max(points)}" if points else "no checkpoint"
        state = "being trained" if run.is_being_trained else "unfinished"
        return cls(run, None, state, detail, sizes)

    @property
    def described(self) -> str:
        """Its state with the detail."""
        return f"{self.state}, {self.detail}" if self.detail else self.state


def list_runs(job: RunsListing) -> None:
    """Print the runs of a workspace, and what its parts take on disk.

    Raises InputError where there is no such workspace.
    """
    workspace = Workspace(absolute_uri(job.workspace))
    if Path(workspace.uri).is_file() or not folder(workspace.uri).names():
        raise InputError(
            f"There is no workspace {workspace.uri}, or it is empty: check --workspace."
        )
    folders = [workspace.run(name) for name in workspace.run_names()]
    runs = [ListedRun.read(each) for each in folders if each.is_run]
    console = _console()
    if not runs:
        console.print(f"There are no runs in {workspace.uri}.")
    else:
        console.print(listing_table(runs))
    taken = {"runs": sum(run.sizes.total() for run in runs)}
    taken |= {kind: sum(folder(workspace.at(kind)).sizes().values()) for kind in _KINDS}
    parts = ", ".join(f"{kind} {in_megabytes(size)}" for kind, size in taken.items() if size)
    if parts:
        console.print(f"On disk: {parts}.")


def show_runs(job: RunsDisplay) -> None:
    """Print what is known of runs. Raises InputError as `existing_runs` does."""
    workspace = Workspace(absolute_uri(job.workspace))
    console = _console()
    for run in existing_runs(workspace, job.runs):
        lines = [f"{run.folder.name}: {run.described}", f"Folder   {run.folder.uri}"]
        if (result := run.result) is not None:
            console.print(result_table(run.folder.name, result))
            lines += [
                f"Data     {result.dataset}, protocol {result.protocol}, selection "
                f"{result.selection}",
                f"Trained  {result.seconds:.0f} s, {result.mesh}",
                f"Model    {f'{run.folder.uri}/model' if 'model' in run.sizes else 'none yet'}",
            ]
        sizes = (f"{name} {in_megabytes(size)}" for name, size in sorted(run.sizes.items()))
        lines += [f"Config   {run.folder.uri}/{CONFIG}", f"On disk  {', '.join(sizes)}"]
        console.print("\n".join(lines))


def existing_runs(workspace: Workspace, names: Sequence[str]) -> list[ListedRun]:
    """Return runs by their names.

    Raises InputError for no names, and for one that does not exist.
    """
    known = workspace.run_names()
    listed = ", ".join(known) or "none"
    if not names:
        raise InputError(
            f"--runs is missing: give names, such as --runs A B; {workspace.uri} has {listed}."
        )
    for name in names:
        if workspace.run(name).name not in known:
            raise InputError(f"There is no run {name} in {workspace.uri}, which has {listed}.")
        if not workspace.run(name).is_run:
            raise InputError(f"{workspace.run(name).uri} is no run: it is left as it is.")
    return [ListedRun.read(workspace.run(name)) for name in dict.fromkeys(names)]


def listing_table(runs: Sequence[ListedRun]) -> Table:
    """Return a table of runs, with the accuracies of the fusion of each finished one.

    It takes 80 columns where names have 28 letters at most.
    """
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    table.add_column("run", no_wrap=True)  # to be copied
    table.add_column("data", overflow="fold")
    table.add_column("state", no_wrap=True)
    for name in ("val\ntop-1", "test\ntop-1", "on disk"):
        table.add_column(name, justify="right", no_wrap=True)
    for run in runs:
        data, figures = "", ("-", "-")
        if run.result is not None:
            fusion = run.result.members[FUSION]
            data = run.result.dataset
            figures = percent(fusion.val_top1), percent(fusion.test_top1)
        size = in_megabytes(run.sizes.total())
        table.add_row(run.folder.name, data, run.state, *figures, size)
    return table


def result_table(name: str, result: RunResult) -> Table:
    """Return a table of the accuracies of a run's networks and fusion."""
    columns: dict[str, Callable[[MemberResult], float | None]] = {
        "val top-1": lambda its: its.val_top1,
        "test top-1": lambda its: its.test_top1,
        WITHOUT_COPIES_HEADING: lambda its: its.test_top1_without_copies,
        "test top-5": lambda its: its.test_top5,
        "test mean class accuracy": lambda its: its.test_mean_class_accuracy,
    }
    members = result.members.values()
    known = [head for head, of in columns.items() if any(of(its) is not None for its in members)]
    table = Table(title=name)
    table.add_column("")
    for heading in ["epoch", *known]:
        table.add_column(heading, justify="right")
    for member, its in result.members.items():
        table.add_row(
            member, str(its.epoch or "-"), *(percent(columns[head](its)) for head in known)
        )
    return table


def in_megabytes(size: int) -> str:
    """Return a number of bytes in MB with three digits at most."""
    megabytes = size / 1e6
    return f"{megabytes:.0f} MB" if megabytes >= 10 else f"{megabytes:.1f} MB"


def _console() -> Console:
    return Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
