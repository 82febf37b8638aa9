"""An ablation: a config is trained whole, then with one component removed or exchanged.

Every variant is trained with every seed, each run in a process of its own on one thread, so that
all cores are used and runs do not depend on each other. Finished runs are lines of a file; the same
command continues with those that are missing.
"""

import os
import signal
import statistics
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import active_children, get_context, parent_process, resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Generic, TypeVar

from hhmnet_core.errors import InputError
from hhmnet_core.from_json import from_json
from hhmnet_core.identity import JsonObject
from hhmnet_core.store.reading import read_manifest
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.storage.line_files import append_line, check_appendable, read_lines

WHOLE = "all"
Config = TypeVar("Config", Phase1Config, Phase2Config)
Changes = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True)
class Outcome:
    """Test top-1 of one run, as shares of 1.

    Attributes:
        variant: Name of the variant.
        seed: Random seed of the run.
        config: Identity of its config.
        digest: Digest of the store, sha256 in hex.
        top1: Top-1 by modality and of the fusion. Where test clips copy training clips, also of
            the fusion without them.
    """

    variant: str
    seed: int
    config: dict[str, object]
    digest: str
    top1: dict[str, float]


@dataclass(frozen=True)
class Subject(Generic[Config]):
    """A phase to ablate.

    Attributes:
        variants: Fields of the config that differ, by variant and group. "all" has none.
        compared: Column whose difference to "all" is shown.
        identity: Function that returns all that decides the result of a run, as JSON values.
        train: Function that trains a variant in this process. It is pickled.
    """

    variants: Mapping[str, Changes]
    compared: str
    identity: Callable[[Config], dict[str, object]]
    train: Callable[[Config, str], Outcome]

    def variant(self, config: Config, name: str, seed: int) -> Config:
        """Return the config of a variant. Raises InputError for an unknown one."""
        if name not in self.variants:
            raise InputError(f"Unknown variant {name!r}; known are {', '.join(self.variants)}.")
        groups: JsonObject = {
            group: replace(getattr(config, group), **changes)
            for group, changes in self.variants[name].items()
        }
        return replace(config, seed=seed, **groups)


def run_ablation(
    subject: Subject[Config],
    config: Config,
    variants: Sequence[str],
    seeds: Sequence[int],
    processes: int,
    file: Path,
) -> Iterator[Outcome]:
    """Yield the outcome of every run: first those in the file, then each one as it ends.

    Raises InputError where a variant is unknown, no variant or seed is given, or the file does not
    hold outcomes, has no folder or cannot be written.
    """
    if not variants or not seeds or processes < 1:
        raise InputError(
            "An ablation needs at least one variant, one seed and one process, but got "
            f"{list(variants)}, {list(seeds)} and {processes}."
        )
    if not file.absolute().parent.is_dir():
        raise InputError(f"There is no folder {file.absolute().parent} for {file}: make it first.")
    wanted = {
        (name, seed): subject.variant(config, name, seed) for seed in seeds for name in variants
    }
    digest = read_manifest(config.data.store).digest
    done = [
        outcome
        for outcome in read_outcomes(file)
        if outcome.digest == digest
        and (one := wanted.get((outcome.variant, outcome.seed))) is not None
        and outcome.config == subject.identity(one)
    ]
    yield from done
    missing = wanted.keys() - {(outcome.variant, outcome.seed) for outcome in done}
    if not missing:
        return
    check_appendable(file)
    processes = min(processes, len(missing))
    with ProcessPoolExecutor(processes, get_context("spawn"), _end_with_parent) as pool:
        try:
            with _without_interrupts():
                futures = [
                    pool.submit(subject.train, one, name)
                    for (name, seed), one in wanted.items()
                    if (name, seed) in missing
                ]
            for future in as_completed(futures):
                outcome = future.result()
                append_line(file, outcome.__dict__)
                yield outcome
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():  # the pool would wait for the runs in progress
                process.terminate()
            raise


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


def print_ablation(
    subject: Subject[Config],
    config: Config,
    variants: Sequence[str],
    seeds: Sequence[int],
    processes: int | None,
    file: str,
) -> None:
    """Run an ablation, print each run as it ends, then the table.

    Args:
        subject: The phase to ablate.
        config: Its config.
        variants: Names of the variants.
        seeds: Random seeds, each for every variant.
        processes: Number of runs side by side. None: one per CPU core.
        file: File that finished runs are appended to.
    """
    outcomes = []
    number = (os.cpu_count() or 1) if processes is None else processes
    for outcome in run_ablation(subject, config, variants, seeds, number, Path(file)):
        outcomes.append(outcome)
        shares = "  ".join(f"{name} {100 * share:.1f}" for name, share in outcome.top1.items())
        print(f"{outcome.variant}, seed {outcome.seed}: {shares}", flush=True)
    print("\n" + summary(subject, outcomes))


def read_outcomes(file: Path) -> list[Outcome]:
    """Return the outcomes in a file, an empty list where there is no file.

    A last line that was cut off is removed, with a notice.
    """
    records = read_lines(file, b'{"variant":')
    try:
        return [from_json(Outcome, record) for record in records]
    except InputError as error:
        raise InputError(
            f"{file} is not a file of outcomes ({error}): give another with --out."
        ) from error


def summary(subject: Subject[Any], outcomes: Sequence[Outcome]) -> str:
    """Return a Markdown table: mean and range over seeds, and the paired difference to "all".

    The standard error of the difference is over the seeds that both have.
    """
    by_variant = {
        name: {o.seed: o.top1 for o in outcomes if o.variant == name}
        for name in subject.variants
        if any(o.variant == name for o in outcomes)
    }
    columns = [each for each in outcomes[0].top1 if all(each in o.top1 for o in outcomes)]
    compared = subject.compared
    lines = [
        "| variant | seeds | " + " | ".join(columns) + f" | {compared} - {WHOLE} |",
        "|---" * (len(columns) + 3) + "|",
    ]
    for name, runs in by_variant.items():
        cells = [_mean_and_range([run[column] for run in runs.values()]) for column in columns]
        whole = by_variant.get(WHOLE, {})
        paired = [runs[seed][compared] - whole[seed][compared] for seed in runs if seed in whole]
        change = "" if name == WHOLE or not paired else _mean_and_error(paired)
        lines.append(f"| {name} | {len(runs)} | " + " | ".join(cells) + f" | {change} |")
    return "\n".join(lines)


def _mean_and_range(shares: Sequence[float]) -> str:
    low, mean, high = min(shares), statistics.fmean(shares), max(shares)
    return f"{100 * mean:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _mean_and_error(shares: Sequence[float]) -> str:
    mean = f"{100 * statistics.fmean(shares):+.1f}"
    if len(shares) < 2:
        return mean
    return f"{mean} ± {100 * statistics.stdev(shares) / len(shares) ** 0.5:.1f}"
