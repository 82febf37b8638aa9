"""The plan of an ablation: its runs, how many of them go side by side, and what is left of them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from hhmnet_core.identity import JsonObject
from hhmnet_core.passwords import without_password
from hhmnet_core.store.reading import read_manifest
from hhmnet_platform.ablation.grid import Bench, Key, Subject, Task, find_finished, further_tasks
from hhmnet_platform.ablation.outcomes import Outcome, read_outcomes
from hhmnet_platform.cluster.ray_environment import cluster_address
from hhmnet_platform.cluster.resources import Resources, local_resources
from hhmnet_platform.cluster.session import ray_session
from hhmnet_platform.figures.progress import clock
from hhmnet_platform.storage.workspace import default_workspace
from hhmnet_platform.tracking.uri import default_tracking


@dataclass
class AblationOptions:
    """Where the runs of an ablation are trained, and what they leave behind.

    Attributes:
        processes: Number of runs side by side, each on one thread of one CPU. Default: one per CPU.
        out: File or URI that finished runs are appended to, one line per run. Default:
            `ablations/<name>/outcomes.jsonl` in the workspace.
        workspace: Folder or URI for everything the ablation writes. Default: $HHMNET_WORKSPACE,
            else `workspace`.
        name: Name of the ablation. The same name continues the same ablation. Default: `<data
            set>-ablation-<hash of the config>`.
        tracking_uri: MLflow tracking URI. Default: $MLFLOW_TRACKING_URI, else an SQLite file in
            the workspace.
        log_workers: Output of the worker processes on this terminal too, each line after the name
            of its process.
        dry_run: Print the plan (runs, finished ones, time) and exit.
    """

    processes: int | None = None
    out: str = ""
    workspace: str = field(default_factory=default_workspace)
    name: str = ""
    tracking_uri: str = field(default_factory=default_tracking)
    log_workers: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Ablation:
    """An ablation whose options have been checked.

    Attributes:
        subject: The phase.
        benches: Data of its runs.
        tasks: Its runs.
        identity: All that decides its results beside variants, benches and seeds.
        tables: Function that returns the tables of finished runs, as Markdown.
    """

    subject: Subject[Any]
    benches: Sequence[Bench[Any]]
    tasks: Sequence[Task[Any]]
    identity: JsonObject
    tables: Callable[[Sequence[Outcome]], str]

    @property
    def dataset(self) -> str:
        """Name of the first data set."""
        return read_manifest(self.stores[0]).dataset

    @property
    def stores(self) -> list[str]:
        """The stores of its benches, in order."""
        return list(dict.fromkeys(task.config.data.store for task in self.tasks))

    def with_finished(self, file: str) -> tuple["Ablation", dict[Key, Outcome]]:
        """Return the ablation with all finished runs of a file, and their outcomes.

        Runs of other variants and seeds than those asked for join its tables.

        Raises InputError where the file does not hold outcomes, or a store cannot be read.
        """
        outcomes = read_outcomes(file)
        further = further_tasks(self.subject, self.benches, self.tasks, outcomes)
        finished = find_finished(self.subject, [*self.tasks, *further], outcomes)
        joining = [task for task in further if task.key in finished]
        return replace(self, tasks=[*self.tasks, *joining]), finished

    def in_order(self, finished: Mapping[Key, Outcome]) -> list[Outcome]:
        """Return outcomes in the order of the grid."""
        return [finished[task.key] for task in self.tasks if task.key in finished]


def side_by_side(options: AblationOptions, resources: Resources, missing: int) -> int:
    """Return the number of runs that are trained at a time."""
    room = resources.capacity_when_grown(1, gpu=False)
    return max(1, min(missing, options.processes or missing, room))


def print_plan(ablation: Ablation, options: AblationOptions, name: str, file: str) -> None:
    """Print the plan of an ablation, and start nothing."""
    ablation, finished = ablation.with_finished(file)
    missing = len(ablation.tasks) - len(finished)
    session: AbstractContextManager[Resources] = (
        ray_session() if cluster_address() else nullcontext(local_resources())
    )
    with session as resources:
        number = side_by_side(options, resources, missing)
    lines = [
        f"ablation    {name}",
        f"runs        {len(ablation.tasks)}, of which {len(finished)} are in "
        f"{without_password(file)}",
        f"left        {missing}" + (f", {number} side by side; {resources}" if missing else ""),
    ]
    if finished and missing:
        seconds = sum(outcome.seconds for outcome in finished.values()) / len(finished)
        lines.append(
            f"time        about {clock(seconds * missing / number)}, from the CPU time of those"
        )
    print("\n".join(lines))
