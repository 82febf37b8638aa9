"""Search jobs: a phase, the fields to search, and the number of trials."""

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import yaml

from hhmnet_core.checks.bounds import check_bounds
from hhmnet_core.passwords import without_passwords
from hhmnet_core.training.optim import MAX_EPOCHS
from hhmnet_platform.hashing import short_hash
from hhmnet_platform.overrides import apply_overrides
from hhmnet_platform.runs.config import Job, Phase1Job, Phase2Job
from hhmnet_platform.runs.phases import phase_of
from hhmnet_platform.runs.run import Run
from hhmnet_platform.search.space import Dimension, Values, parse_dimension

METRIC = "val_top1"  # in Tune's results: val/top1 of the phase's objective


@dataclass
class SearchConfig:
    """Fields to search, and the number of trials.

    Attributes:
        study: Name of the search. The same name continues the same search. Default: `<data
            set>-search-<hash of all that decides a trial's result>`.
        space: Fields to search: a field such as contrast.temperature -> low, high, log, or choices.
        trials: Total number of trials of Ray Tune, each a training. A larger number continues a
            finished search.
        epochs: Epochs of a complete trial. Default: as many as the phase has.
        grace: Minimum number of epochs of a trial.
        reduction: Reduction factor of ASHA, which keeps one in so many trials at each rung.
        storage: Optuna's storage of the study: URL of a database, such as postgresql://..., or path
            of a journal. Default: `study.journal` in the search's folder.
    """

    study: str = ""
    space: dict[str, Any] = field(default_factory=dict)
    trials: int = 20
    epochs: int | None = None
    grace: int = 3
    reduction: int = 3
    storage: str = ""

    def __post_init__(self) -> None:
        self.space = {name: parse_dimension(name, each) for name, each in self.space.items()}
        check_bounds(
            self,
            "",
            trials=(1, 100_000),
            **({} if self.epochs is None else {"epochs": (1, MAX_EPOCHS)}),
            grace=(1, MAX_EPOCHS),
            reduction=(2, 1000),
        )


@dataclass
class Phase1Search(SearchConfig, Phase1Job):
    """A search over phase 1: the fields to search, and the config of all others."""

    def __post_init__(self) -> None:
        SearchConfig.__post_init__(self)
        Phase1Job.__post_init__(self)


@dataclass
class Phase2Search(SearchConfig, Phase2Job):
    """A search over phase 2: the fields to search, and the config of all others."""

    def __post_init__(self) -> None:
        SearchConfig.__post_init__(self)
        Phase2Job.__post_init__(self)


Search = Phase1Search | Phase2Search


def complete_epochs(job: Search) -> int:
    """Return the epochs of a complete trial."""
    return job.epochs or job.optim.epochs


@dataclass(frozen=True)
class StudyIdentity:
    """All that decides a trial's result except its values. Equal identities are one study.

    Attributes:
        space: Dimensions of the searched fields.
        grace: Minimum number of epochs of a trial.
        reduction: Reduction factor of ASHA.
        config: Identity of the run without searched fields, by dotted name.
    """

    space: dict[str, Dimension]
    grace: int
    reduction: int
    config: dict[str, object]


def study_identity(job: Search, first: Run) -> StudyIdentity:
    """Return the identity of a search's study.

    Args:
        job: The search.
        first: The run of the job without searched fields.
    """
    return StudyIdentity(job.space, job.grace, job.reduction, first.identity.values)


def study_name(job: Search, first: Run) -> str:
    """Return the given name, or `<data set>-search-<hash of the identity>`."""
    dataset = first.clips.manifest.dataset
    return job.study or f"{dataset}-search-{short_hash(asdict(study_identity(job, first)))}"


def best_job(job: Search, values: Values) -> Job:
    """Return the phase's job with these values of the searched fields and all its epochs."""
    job_type = phase_of(job).job_type
    plain = {each.name: getattr(job, each.name) for each in fields(job_type)}
    base: Job = job_type(**plain | {"name": ""})
    return apply_overrides(base, values)


def trial_job(job: Search, values: Values) -> Job:
    """Return the phase's job with these values and the epochs of a trial."""
    if job.epochs:
        job = replace(job, optim=replace(job.optim, epochs=job.epochs))
    return best_job(job, values)


def best_config(job: Search, values: Values, head: str) -> bytes:
    """Return a config file with these values for `hhmnet train phase1|phase2 --config`.

    It lacks the password of a store, if that has one.
    """
    config = asdict(best_job(job, values))
    best = {each.name: config[each.name] for each in fields(phase_of(job).config_type)}
    return (f"# {head}\n" + yaml.safe_dump(without_passwords(best), sort_keys=False)).encode()
