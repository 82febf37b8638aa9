"""What a search asks for: a phase, what of it is tried, and how often."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import yaml

from hhmnet_core.errors import InputError
from hhmnet_platform.hashing import short_hash
from hhmnet_platform.overrides import apply_overrides
from hhmnet_platform.runs.config import Job, Phase1Job, Phase2Job
from hhmnet_platform.runs.phases import phase_of
from hhmnet_platform.runs.run import Run
from hhmnet_platform.search.space import dimension

METRIC = "val_top1"  # in Tune's results: val/top1 of what `objective_of` says


@dataclass
class SearchConfig:
    """What is tried, and how often.

    Attributes:
        study: Its name; the same name goes on with the same search. Empty: from the data set and a
            hash of all that decides what a trial gives.
        space: What is searched: a field such as contrast.temperature -> low, high, log, or choices.
        trials: In all; more of them later add to those before.
        epochs: Of a whole trial; null: as many as the phase has.
        grace: Epochs that every trial gets.
        reduction: ASHA keeps one of so many trials at each rung.
    """

    study: str = ""
    space: dict[str, Any] = field(default_factory=dict)
    trials: int = 20
    epochs: int | None = None
    grace: int = 3
    reduction: int = 3

    def __post_init__(self) -> None:
        self.space = {name: dimension(name, given) for name, given in self.space.items()}
        for name, least in (("trials", 1), ("epochs", 1), ("grace", 1), ("reduction", 2)):
            given = getattr(self, name)
            if given is not None and given < least:
                raise InputError(f"{name} must be at least {least}, but is {given}.")


@dataclass
class Phase1Search(SearchConfig, Phase1Job):
    """A search over phase 1: the phase where the space says nothing, and the space."""

    def __post_init__(self) -> None:
        SearchConfig.__post_init__(self)
        Phase1Job.__post_init__(self)


@dataclass
class Phase2Search(SearchConfig, Phase2Job):
    """A search over phase 2: the phase where the space says nothing, and the space."""

    def __post_init__(self) -> None:
        SearchConfig.__post_init__(self)
        Phase2Job.__post_init__(self)


Search = Phase1Search | Phase2Search


def best_job(job: Search, values: Mapping[str, Any]) -> Job:
    """The phase with these values of the space, as it is trained in the end."""
    job_type = phase_of(job).job_type
    values_of_job = {each.name: getattr(job, each.name) for each in fields(job_type)}
    base: Job = job_type(**values_of_job | {"name": ""})
    return apply_overrides(base, values)


def trial_job(job: Search, values: Mapping[str, Any]) -> Job:
    """The same with the epochs of a trial."""
    if job.epochs:
        job = replace(job, optim=replace(job.optim, epochs=job.epochs))
    return best_job(job, values)


def about(job: Search, first: Run) -> dict[str, Any]:
    """What decides a trial's result beside its values: equal, and it is the same study.

    Args:
        job: The search.
        first: The run that it would come to without a space.
    """
    said = asdict(job)
    return {name: said[name] for name in ("space", "grace", "reduction")} | {
        "config": first.identity.values
    }


def study_name(job: Search, first: Run) -> str:
    """The one given, or one that equal searches share."""
    return job.study or f"{first.clips.manifest.dataset}-search-{short_hash(about(job, first))}"


def best_config(job: Search, values: Mapping[str, Any], head: str) -> bytes:
    """The config with these values, as `phase1.py --config` or `phase2.py --config` takes it."""
    config = asdict(best_job(job, values))
    best = {each.name: config[each.name] for each in fields(phase_of(job).config_type)}
    return (f"# {head}\n" + yaml.safe_dump(best, sort_keys=False)).encode()
