"""An ablation: a config, and what is left when one of its parts is taken away or exchanged.

Every variant is trained with every seed, each run in a process of its own on one thread, so that
a machine's cores are all used and runs do not depend on each other. Finished runs are lines of a
file; the same command goes on with what is missing.
"""

import json
import os
import statistics
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Generic, TypeVar

from hhmnet_core.errors import InputError
from hhmnet_core.store.reading import read_manifest
from hhmnet_core.training.phase1.fitting import Phase1Config
from hhmnet_core.training.phase2.config import Phase2Config

WHOLE = "all"
Config = TypeVar("Config", Phase1Config, Phase2Config)
Changes = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True)
class Outcome:
    """Test top-1 of one run, by modality and fused, as shares of 1.

    Where test has copies of training clips, the fusion without them too.
    """

    variant: str
    seed: int
    config: dict[str, object]
    digest: str
    top1: dict[str, float]


@dataclass(frozen=True)
class Subject(Generic[Config]):
    """What is ablated.

    Attributes:
        variants: By name, the fields of the config that differ, room by room; "all" has none.
        compared: The column whose difference to "all" is shown.
        said: All that decides a run's result, as JSON knows it.
        train: Trains a run of a variant on this process; travels to another one.
    """

    variants: Mapping[str, Changes]
    compared: str
    said: Callable[[Config], dict[str, object]]
    train: Callable[[Config, str], Outcome]

    def variant(self, config: Config, name: str, seed: int) -> Config:
        """The config of a variant. Raises InputError for an unknown one."""
        if name not in self.variants:
            raise InputError(f"Unknown variant {name!r}; known are {', '.join(self.variants)}.")
        rooms: dict[str, Any] = {
            room: replace(getattr(config, room), **changes)
            for room, changes in self.variants[name].items()
        }
        return replace(config, seed=seed, **rooms)


def run_ablation(
    subject: Subject[Config],
    config: Config,
    variants: Sequence[str],
    seeds: Sequence[int],
    processes: int,
    file: Path,
) -> Iterator[Outcome]:
    """Yields every run's outcome: first those that the file holds, then each as it ends.

    Raises InputError where a variant is unknown, no seed is given, or the file is not one of
    outcomes or has no folder.
    """
    if not seeds or processes < 1:
        raise InputError(
            f"An ablation needs at least one seed and one process, but got {list(seeds)} and "
            f"{processes}."
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
        and outcome.config == subject.said(one)
    ]
    yield from done
    missing = wanted.keys() - {(outcome.variant, outcome.seed) for outcome in done}
    with ProcessPoolExecutor(processes, get_context("spawn"), _end_with_parent) as pool:
        futures = [
            pool.submit(subject.train, one, name)
            for (name, seed), one in wanted.items()
            if (name, seed) in missing
        ]
        try:
            for future in as_completed(futures):
                outcome = future.result()
                with file.open("a") as lines:
                    lines.write(json.dumps(outcome.__dict__) + "\n")
                yield outcome
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _end_with_parent() -> None:
    """Ends this process when the one that started it is gone, however that ended."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def show_ablation(
    subject: Subject[Config],
    config: Config,
    variants: Sequence[str],
    seeds: Sequence[int],
    processes: int | None,
    file: str,
) -> None:
    """Runs an ablation, prints each run as it ends, and the table; `processes` None: one a core."""
    outcomes = []
    number = (os.cpu_count() or 1) if processes is None else processes
    for outcome in run_ablation(subject, config, variants, seeds, number, Path(file)):
        outcomes.append(outcome)
        shares = "  ".join(f"{name} {100 * share:.1f}" for name, share in outcome.top1.items())
        print(f"{outcome.variant}, seed {outcome.seed}: {shares}", flush=True)
    print("\n" + summary(subject, outcomes))


def read_outcomes(file: Path) -> list[Outcome]:
    """What a file of outcomes holds; nothing if there is none."""
    if not file.exists():
        return []
    try:
        return [Outcome(**json.loads(line)) for line in file.read_text().splitlines()]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{file} is not a file of outcomes ({error}): name another with --out."
        ) from error


def summary(subject: Subject[Any], outcomes: Sequence[Outcome]) -> str:
    """A Markdown table: mean and range over seeds, and the paired difference to "all".

    The difference stands with its standard error over the seeds that both have.
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
