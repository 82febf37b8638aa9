"""An ablation: a config is trained whole, then with one component removed or exchanged.

Every variant is trained on every bench with every seed, each run in a process of its own on one
thread, so that all cores are used and runs do not depend on each other. Finished runs are lines of
a file; the same command continues with those that are missing.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing import active_children, get_context, parent_process, resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from typing import Generic, TypeVar

from hhmnet_core.errors import InputError
from hhmnet_core.store.reading import read_manifest
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.ablation.outcomes import Outcome, read_outcomes
from hhmnet_platform.overrides import checked_overrides
from hhmnet_platform.storage.line_files import append_line, check_appendable

WHOLE = "all"
Config = TypeVar("Config", Phase1Config, Phase2Config)
Changes = Mapping[str, object]


def _unchanged(config: Config) -> Config:
    return config


def _is_complete(outcome: Outcome) -> bool:
    return True


@dataclass(frozen=True)
class Bench(Generic[Config]):
    """Data and seeds to train every variant with.

    Attributes:
        name: Name of the bench. Empty: the only one, of an ablation without a list of benches.
        config: Config of the whole on these data.
        seeds: Random seeds.
        finish: Function that sets what depends on the variant, such as epochs for equal steps.
    """

    name: str
    config: Config
    seeds: Sequence[int]
    finish: Callable[[Config], Config] = _unchanged


@dataclass(frozen=True)
class Task(Generic[Config]):
    """One run.

    Attributes:
        variant: Name of the variant.
        bench: Name of the bench.
        config: Config of the run, its seed included.
    """

    variant: str
    bench: str
    config: Config


@dataclass(frozen=True)
class Subject(Generic[Config]):
    """A phase to ablate.

    Attributes:
        variants: Fields of the config that differ, by variant and dotted name.
        reference: Variant that the others are compared to.
        compared: Member whose difference to the reference is shown.
        identity: Function that returns all that decides the result of a run, as JSON values.
        train: Function that trains a run in this process. It is pickled.
        is_complete: Function that returns whether an outcome of the same config holds all that is
            asked for.
    """

    variants: Mapping[str, Changes]
    reference: str
    compared: str
    identity: Callable[[Config], dict[str, object]]
    train: Callable[[Task[Config]], Outcome]
    is_complete: Callable[[Outcome], bool] = _is_complete

    def variant(self, config: Config, name: str, seed: int) -> Config:
        """Return the config of a variant. Raises InputError for an unknown one."""
        if name not in self.variants:
            raise InputError(f"Unknown variant {name!r}; known are {', '.join(self.variants)}.")
        changed = checked_overrides(config, self.variants[name], f"Variant {name!r}")
        return replace(changed, seed=seed)


def plan_runs(
    subject: Subject[Config], benches: Sequence[Bench[Config]], variants: Sequence[str]
) -> list[Task[Config]]:
    """Return all runs, those of a pair next to each other.

    Raises InputError where a variant is unknown or its config is refused, anything is given twice,
    or no variant or seed is given.
    """
    _check_each_once("variants", variants)
    _check_each_once("benches", [bench.name for bench in benches])
    for bench in benches:
        _check_each_once("seeds", bench.seeds)
    rounds = max(len(bench.seeds) for bench in benches)
    return [
        Task(name, bench.name, bench.finish(subject.variant(bench.config, name, bench.seeds[at])))
        for at in range(rounds)
        for bench in benches
        if at < len(bench.seeds)
        for name in variants
    ]


def run_ablation(
    subject: Subject[Config], tasks: Sequence[Task[Config]], processes: int, file: Path
) -> Iterator[Outcome]:
    """Yield the outcome of every run: first those in the file, then each one as it ends.

    Raises InputError where the file does not hold outcomes, has no folder or cannot be written.
    """
    if processes < 1:
        raise InputError(
            "An ablation needs at least one variant, one seed and one process, but processes are "
            f"{processes}."
        )
    if not file.absolute().parent.is_dir():
        raise InputError(f"There is no folder {file.absolute().parent} for {file}: make it first.")
    wanted = {(task.variant, task.bench, task.config.seed): task for task in tasks}
    digests = {store: read_manifest(store).digest for store in {t.config.data.store for t in tasks}}
    done = {}
    for outcome in read_outcomes(file):
        key = (outcome.variant, outcome.bench, outcome.seed)
        task = wanted.get(key)
        if (
            task is not None
            and outcome.digest == digests[task.config.data.store]
            and outcome.config == subject.identity(task.config)
            and subject.is_complete(outcome)
        ):
            done[key] = outcome
    yield from done.values()
    missing = [task for key, task in wanted.items() if key not in done]
    if not missing:
        return
    check_appendable(file)
    processes = min(processes, len(missing))
    with ProcessPoolExecutor(processes, get_context("spawn"), _end_with_parent) as pool:
        try:
            with _without_interrupts():
                futures = [pool.submit(subject.train, task) for task in missing]
            for future in as_completed(futures):
                outcome = future.result()
                append_line(file, asdict(outcome))
                yield outcome
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():  # the pool would wait for the runs in progress
                process.terminate()
            raise


def _check_each_once(what: str, given: Sequence[object]) -> None:
    if not given or len({*given}) < len(given):
        raise InputError(
            "An ablation needs at least one variant, one seed and one process, each given once, "
            f"but {what} are {list(given)}."
        )


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Keep Ctrl-C, which a terminal sends to all, from processes that are started in the block."""
    resource_tracker.ensure_running()  # it would let the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """End this process when its parent process has ended for any reason."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def print_runs(
    subject: Subject[Config],
    tasks: Sequence[Task[Config]],
    processes: int | None,
    file: str,
) -> list[Outcome]:
    """Run an ablation, print each run as it ends, and return the outcomes.

    Args:
        subject: The phase to ablate.
        tasks: The runs.
        processes: Number of runs side by side. None: one per CPU core.
        file: File that finished runs are appended to.
    """
    outcomes: list[Outcome] = []
    number = (os.cpu_count() or 1) if processes is None else processes
    for outcome in run_ablation(subject, tasks, number, Path(file)):
        outcomes.append(outcome)
        shares = "  ".join(f"{name} {100 * share:.1f}" for name, share in outcome.top1.items())
        loss = outcome.log_loss.get(subject.compared)
        added = "" if loss is None else f", log-loss {loss:.3f}, {outcome.seconds:.0f} CPU s"
        bench = outcome.bench and f"{outcome.bench}, "
        print(f"{outcome.variant}, {bench}seed {outcome.seed}: {shares}{added}", flush=True)
    return outcomes
