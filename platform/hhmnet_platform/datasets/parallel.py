"""Building the shards of a store, in this process or as Ray tasks, with a progress bar."""

import sys
import time
from collections.abc import Iterator
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder
from hhmnet_core.store.building import BuiltShard, OnError, Source, StorePlan, build_shard
from hhmnet_platform.cluster.session import ray_session

_Inputs = tuple[Folder, StorePlan, Source, OnError]
LOG_SECONDS = 15.0  # between two lines where the output is no terminal


def build_shards(
    folder: Folder,
    plan: StorePlan,
    source: Source,
    on_error: OnError,
    workers: int | None,
    shards: dict[int, BuiltShard],
) -> None:
    """Build the shards of a plan that are missing from `shards`, and add them to it.

    Args:
        folder: Folder of the store.
        plan: The shards of the store.
        source: Recordings to read.
        on_error: "fail" or "quarantine" a recording that cannot be read.
        workers: Number of processes. None: one per CPU core of the machine or the cluster. One
            process, or a single missing shard, needs no Ray.
        shards: Shards that are complete already, by number.

    Raises:
        InputError: As for `build_shard`.
    """
    missing = [number for number in range(plan.num_shards) if number not in shards]
    if not missing:
        return
    built = (
        _build_here(folder, plan, source, on_error, missing)
        if workers == 1 or len(missing) == 1
        else _build_as_tasks(folder, plan, source, on_error, missing, workers)
    )
    with _ProgressBar(plan.description.dataset, len(plan.names)) as bar:
        bar.skip(sum(len(plan.names_of(number)) for number in shards))
        for number, shard in built:
            shards[number] = shard
            bar.advance(len(plan.names_of(number)))


def _build_here(
    folder: Folder, plan: StorePlan, source: Source, on_error: OnError, missing: list[int]
) -> Iterator[tuple[int, BuiltShard]]:
    for number in missing:
        yield number, build_shard(folder, plan, source, number, on_error)


def _build_as_tasks(
    folder: Folder,
    plan: StorePlan,
    source: Source,
    on_error: OnError,
    missing: list[int],
    workers: int | None,
) -> Iterator[tuple[int, BuiltShard]]:
    """Build shards as Ray tasks, as many at a time as there are processes, to save memory."""
    with ray_session() as resources:
        import ray

        task = ray.remote(num_cpus=1, max_retries=2)(_task)
        inputs = ray.put((folder, plan, source, on_error))
        waiting = list(reversed(missing))
        running: dict[ray.ObjectRef[BuiltShard | InputError], int] = {}
        while waiting or running:
            while waiting and len(running) < (workers or max(resources.cpus, 1)):
                number = waiting.pop()
                running[task.remote(inputs, number)] = number
            (done,), _ = ray.wait(list(running), num_returns=1)
            built = ray.get(done)
            if isinstance(built, InputError):
                raise built
            yield running.pop(done), built


def _task(inputs: _Inputs, number: int) -> BuiltShard | InputError:
    """Build a shard. An InputError is returned, because Ray would wrap it if it were raised."""
    import pyarrow

    pyarrow.set_cpu_count(1)
    folder, plan, source, on_error = inputs
    try:
        return build_shard(folder, plan, source, number, on_error)
    except InputError as error:
        return error


class _ProgressBar:
    """Progress in clips on stderr: a bar on a terminal, elsewhere a line every 15 seconds."""

    def __init__(self, dataset: str, total: int) -> None:
        self.dataset, self.total = dataset, total
        self.done, self.built = 0, 0
        self.started = self.logged = time.monotonic()
        console = Console(stderr=True, markup=False, emoji=False)
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.bar = self.progress.add_task(dataset, total=total, speed="")

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def skip(self, clips: int) -> None:
        """Count clips of shards that were complete already; they do not count for the speed."""
        self.done += clips
        self.progress.advance(self.bar, clips)

    def advance(self, clips: int) -> None:
        """Count clips of a shard that was built."""
        self.done += clips
        self.built += clips
        now = time.monotonic()
        clips_per_second = self.built / max(now - self.started, 1e-9)
        speed = f"{clips_per_second:,.0f} clips/s"
        self.progress.update(self.bar, advance=clips, speed=speed)
        if self.progress.disable and now - self.logged >= LOG_SECONDS:
            self.logged = now
            left = int((self.total - self.done) / clips_per_second)
            print(
                f"{self.dataset}: {self.done:,} of {self.total:,} clips, {speed}, "
                f"{left // 60}:{left % 60:02d} left",
                file=sys.stderr,
                flush=True,
            )
