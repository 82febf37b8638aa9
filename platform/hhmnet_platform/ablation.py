"""An ablation of phase 1: the config, and what is left when one of its parts is taken away.

Every variant is trained with every seed, each run in a process of its own on one thread, so that
a machine's cores are all used and runs do not depend on each other. Finished runs are lines of a
file; the same command goes on with what is missing.
"""

import json
import os
import statistics
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch

from hhmnet_core.data.store import load_clips
from hhmnet_core.errors import InputError
from hhmnet_core.training.config import comparable
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1 import Phase1Config, fit

VARIANTS: Mapping[str, Mapping[str, Mapping[str, object]]] = {
    "all": {},
    "no mask": {"model": {"mask": False}},
    "no re-ranking": {"model": {"rerank": False}},
    "no selection": {"model": {"select": False}},
    "plain temporal convolution": {"model": {"select": False, "branches": [(5, 1)]}},
    "no contrast": {"contrast": {"weight": 0.0}},
}


@dataclass(frozen=True)
class Outcome:
    """Test top-1 of one run, by modality and fused, as shares of 1."""

    variant: str
    seed: int
    config: dict[str, object]
    digest: str
    top1: dict[str, float]


def variant_of(config: Phase1Config, name: str, seed: int) -> Phase1Config:
    """The config without what the named variant leaves out.

    Raises InputError for an unknown variant, and for one of ST&ST where another model is named.
    """
    if name not in VARIANTS:
        raise InputError(f"Unknown variant {name!r}; known are {', '.join(VARIANTS)}.")
    if config.model.name != "stst" and "model" in VARIANTS[name]:
        raise InputError(
            f"Variant {name!r} takes a part of ST&ST away, which model.name {config.model.name} "
            f"does not have: give --variants '[all, no contrast]'."
        )
    rooms: dict[str, Any] = {
        room: replace(getattr(config, room), **changes) for room, changes in VARIANTS[name].items()
    }
    return replace(config, seed=seed, **rooms)


def train_variant(config: Phase1Config, name: str) -> Outcome:
    """Trains one run on this process."""
    torch.set_num_threads(1)
    clips = load_clips(config.data.store)
    *_, last = fit(config, clips, Mesh())
    top1 = {modality: values["test/top1"] for modality, values in last.metrics.items()}
    return Outcome(name, config.seed, comparable(config), clips.manifest.digest, top1)


def run_ablation(
    config: Phase1Config,
    variants: Sequence[str],
    seeds: Sequence[int],
    processes: int,
    file: Path,
) -> Iterator[Outcome]:
    """Yields every run's outcome: first those that the file holds, then each as it ends.

    Raises InputError where a variant is unknown or takes away what the model does not have, no
    seed is given, or the file is not one of outcomes or has no folder.
    """
    if not seeds or processes < 1:
        raise InputError(
            f"An ablation needs at least one seed and one process, but got {list(seeds)} and "
            f"{processes}."
        )
    if not file.absolute().parent.is_dir():
        raise InputError(f"There is no folder {file.absolute().parent} for {file}: make it first.")
    wanted = {(name, seed): variant_of(config, name, seed) for seed in seeds for name in variants}
    digest = load_clips(config.data.store).manifest.digest
    done = [
        outcome
        for outcome in read_outcomes(file)
        if outcome.digest == digest
        and (one := wanted.get((outcome.variant, outcome.seed))) is not None
        and outcome.config == comparable(one)
    ]
    yield from done
    missing = wanted.keys() - {(outcome.variant, outcome.seed) for outcome in done}
    with ProcessPoolExecutor(processes, get_context("spawn"), _end_with_parent) as pool:
        futures = [
            pool.submit(train_variant, one, name)
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


def summary(outcomes: Sequence[Outcome]) -> str:
    """A Markdown table: mean and range over seeds, and the paired difference of fusion to "all".

    The difference stands with its standard error over the seeds that both have.
    """
    by_variant = {
        name: {o.seed: o.top1 for o in outcomes if o.variant == name}
        for name in VARIANTS
        if any(o.variant == name for o in outcomes)
    }
    columns = list(next(iter(outcomes)).top1)
    lines = [
        "| variant | seeds | " + " | ".join(columns) + " | fusion - all |",
        "|---" * (len(columns) + 3) + "|",
    ]
    for name, runs in by_variant.items():
        cells = [_mean_and_range([run[column] for run in runs.values()]) for column in columns]
        whole = by_variant.get("all", {})
        paired = [runs[seed]["fusion"] - whole[seed]["fusion"] for seed in runs if seed in whole]
        change = "" if name == "all" or not paired else _mean_and_error(paired)
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
