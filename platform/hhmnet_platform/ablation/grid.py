"""The grid of an ablation: each variant on each bench with each seed, and what has finished of it.

A config is trained whole, then with one component removed or exchanged. Finished runs are lines of
a file; the same command continues with those that are missing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from hhmnet_core.errors import InputError
from hhmnet_core.identity import JsonObject
from hhmnet_core.store.reading import read_manifest
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.ablation.outcomes import Outcome
from hhmnet_platform.overrides import checked_overrides

WHOLE = "all"
Config = TypeVar("Config", Phase1Config, Phase2Config)
Changes = Mapping[str, object]
Key = tuple[str, str, int]  # variant, bench, seed


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

    @property
    def key(self) -> Key:
        """The place of the run in the grid."""
        return self.variant, self.bench, self.config.seed

    @property
    def label(self) -> str:
        """The place of the run in the grid, for messages."""
        return ", ".join(filter(None, [self.variant, self.bench, f"seed {self.config.seed}"]))


@dataclass(frozen=True)
class Subject(Generic[Config]):
    """A phase to ablate.

    Attributes:
        phase: "phase1" or "phase2".
        variants: Fields of the config that differ, by variant and dotted name.
        reference: Variant that the others are compared to.
        compared: Member whose difference to the reference is shown.
        identity: Function that returns all that decides the result of a run, as JSON values.
        train: Function that trains a run in this process. It is pickled.
        is_complete: Function that returns whether an outcome of the same config holds all that is
            asked for.
    """

    phase: str
    variants: Mapping[str, Changes]
    reference: str
    compared: str
    identity: Callable[[Config], JsonObject]
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
    tasks = [
        _task(subject, bench, name, bench.seeds[at])
        for at in range(rounds)
        for bench in benches
        if at < len(bench.seeds)
        for name in variants
    ]
    if any(task.config.optim.capture for task in tasks):
        raise InputError(
            "optim.capture is true, but runs of an ablation are trained on CPUs: set it to false."
        )
    return tasks


def further_tasks(
    subject: Subject[Config],
    benches: Sequence[Bench[Config]],
    tasks: Sequence[Task[Config]],
    outcomes: Sequence[Outcome],
) -> list[Task[Config]]:
    """Return the runs of outcomes that are no part of a grid, but of its benches and variants."""
    asked, known = {task.key for task in tasks}, {bench.name: bench for bench in benches}
    found: dict[Key, Task[Config]] = {}
    for outcome in outcomes:
        bench = known.get(outcome.bench)
        if bench and outcome.variant in subject.variants and outcome.key not in asked:
            found[outcome.key] = _task(subject, bench, outcome.variant, outcome.seed)
    return list(found.values())


def find_finished(
    subject: Subject[Config], tasks: Sequence[Task[Config]], outcomes: Sequence[Outcome]
) -> dict[Key, Outcome]:
    """Return the outcomes that are those of runs of the grid, by their place in it.

    Raises InputError where a store cannot be read.
    """
    wanted = {task.key: task for task in tasks}
    digests = {store: read_manifest(store).digest for store in {t.config.data.store for t in tasks}}
    finished = {}
    for outcome in outcomes:
        task = wanted.get(outcome.key)
        if (
            task is not None
            and subject.compared in outcome.top1
            and outcome.digest == digests[task.config.data.store]
            and outcome.config == subject.identity(task.config)
            and subject.is_complete(outcome)
        ):
            finished[outcome.key] = outcome
    return finished


def _task(subject: Subject[Config], bench: Bench[Config], name: str, seed: int) -> Task[Config]:
    return Task(name, bench.name, bench.finish(subject.variant(bench.config, name, seed)))


def _check_each_once(what: str, given: Sequence[object]) -> None:
    if not given or len({*given}) < len(given):
        raise InputError(
            "An ablation needs at least one variant, one bench and one seed, each given once, "
            f"but {what} are {list(given)}."
        )
