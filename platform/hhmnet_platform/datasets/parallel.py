"""The parts of a store, made in this process or as Ray tasks, with a bar of what is done."""

import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder
from hhmnet_core.store.building import BuiltShard, OnError, Source, StorePlan, build_shard
from hhmnet_platform.cluster.session import ray_session

LOG_SECONDS = 15.0


def build_shards(
    place: Folder,
    plan: StorePlan,
    source: Source,
    on_error: OnError,
    workers: int | None,
    parts: dict[int, BuiltShard],
) -> None:
    """Makes the parts of a plan that are not among `parts`, and adds them there.

    Args:
        place: Where they go.
        plan: What they are.
        source: What they are made from.
        on_error: As for `build_shard`.
        workers: Processes; None: one a core of the machine or the cluster. One, or a single part,
            does without Ray.
        parts: Those that are whole already, by number.

    Raises:
        InputError: As for `build_shard`.
    """
    todo = [number for number in range(plan.num_shards) if number not in parts]
    if not todo:
        return
    made = (
        _here(place, plan, source, on_error, todo)
        if workers == 1 or len(todo) == 1
        else _as_tasks(place, plan, source, on_error, todo, workers)
    )
    with _Bar(plan.about.dataset, len(plan.names)) as bar:
        bar.there(sum(len(plan.names_of(number)) for number in parts))
        for number, part in made:
            parts[number] = part
            bar.made(len(plan.names_of(number)))


def _here(
    place: Folder, plan: StorePlan, source: Source, on_error: OnError, todo: list[int]
) -> Iterator[tuple[int, BuiltShard]]:
    for number in todo:
        yield number, build_shard(place, plan, source, number, on_error)


def _as_tasks(
    place: Folder,
    plan: StorePlan,
    source: Source,
    on_error: OnError,
    todo: list[int],
    workers: int | None,
) -> Iterator[tuple[int, BuiltShard]]:
    """As many at a time as there are processes: what waits takes no memory."""
    with ray_session() as resources:
        import ray

        task = ray.remote(num_cpus=1, max_retries=2)(_task)
        given = ray.put((place, plan, source, on_error))
        waiting = list(reversed(todo))
        running: dict[ray.ObjectRef[BuiltShard | InputError], int] = {}
        while waiting or running:
            while waiting and len(running) < (workers or max(resources.cpus, 1)):
                number = waiting.pop()
                running[task.remote(given, number)] = number
            (done,), _ = ray.wait(list(running), num_returns=1)
            made = ray.get(done)
            if isinstance(made, InputError):
                raise made
            yield running.pop(done), made


def _task(given: tuple[Folder, StorePlan, Source, OnError], number: int) -> BuiltShard | InputError:
    """A part; what the user can mend is returned, since Ray wraps what is raised."""
    import pyarrow

    pyarrow.set_cpu_count(1)
    place, plan, source, on_error = given
    try:
        return build_shard(place, plan, source, number, on_error)
    except InputError as error:
        return error


class _Bar:
    """What is done: a bar on a terminal, in a log a line now and then."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.done, self.new = what, total, 0, 0
        self.began = self.said = time.monotonic()
        console = Console(stderr=True)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.bar = self.progress.add_task(what, total=total, speed="")

    def __enter__(self) -> "_Bar":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def there(self, clips: int) -> None:
        """So many were there already: they say nothing of the speed."""
        self.done += clips
        self.progress.advance(self.bar, clips)

    def made(self, clips: int) -> None:
        self.done += clips
        self.new += clips
        now = time.monotonic()
        speed = self.new / max(now - self.began, 1e-9)
        said = f"{speed:,.0f} clips/s"
        self.progress.update(self.bar, advance=clips, speed=said)
        if self.progress.disable and now - self.said >= LOG_SECONDS:
            self.said = now
            left = int((self.total - self.done) / speed)
            print(
                f"{self.what}: {self.done:,} of {self.total:,} clips, {said}, "
                f"{left // 60}:{left % 60:02d} left",
                file=sys.stderr,
                flush=True,
            )
