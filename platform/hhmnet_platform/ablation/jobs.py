"""Jobs of the ablations: a phase's config, and the variants and seeds to train it with."""

from dataclasses import dataclass, field, fields

from hhmnet_core.errors import InputError
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.ablation.runner import print_ablation
from hhmnet_platform.ablation.variants import PHASE1, PHASE2, phase1_ablation, phase2_ablation


@dataclass
class Phase1Ablation(Phase1Config):
    """An ablation of phase 1.

    Attributes:
        variants: Names of the variants to train.
        seeds: Random seeds, each for every variant, in place of `seed`.
        processes: Number of runs side by side. Default: one per CPU core.
        out: File that finished runs are appended to, one line per run.
    """

    variants: list[str] = field(default_factory=lambda: list(PHASE1))
    seeds: list[int] = field(default_factory=lambda: [1, 2, 3])
    processes: int | None = None
    out: str = "ablation.jsonl"


@dataclass
class Phase2Ablation(Phase2Config):
    """An ablation of phase 2.

    Attributes:
        phase1: Folder of the guiding phase-1 run, or of its last checkpoint.
        variants: Names of the variants to train.
        seeds: Random seeds, each for every variant, in place of `seed`.
        processes: Number of runs side by side. Default: one per CPU core.
        out: File that finished runs are appended to, one line per run.
    """

    phase1: str = ""
    variants: list[str] = field(default_factory=lambda: list(PHASE2))
    seeds: list[int] = field(default_factory=lambda: [1, 2, 3])
    processes: int | None = None
    out: str = "ablation-phase2.jsonl"


def run_phase1_ablation(job: Phase1Ablation) -> None:
    """Run an ablation of phase 1. Raises InputError for anything the user can cause."""
    if not job.data.store:
        raise InputError("--data.store is missing: give a store that experiments/prepare.py made.")
    config = Phase1Config(job.data, job.model, job.augment, job.contrast, job.optim)
    print_ablation(phase1_ablation(config), config, job.variants, job.seeds, job.processes, job.out)


def run_phase2_ablation(job: Phase2Ablation) -> None:
    """Run an ablation of phase 2. Raises InputError for anything the user can cause."""
    for name, value in (("data.store", job.data.store), ("phase1", job.phase1)):
        if not value:
            raise InputError(f"--{name} is missing: expected a folder.")
    config = Phase2Config(**{name.name: getattr(job, name.name) for name in fields(Phase2Config)})
    print_ablation(
        phase2_ablation(job.phase1), config, job.variants, job.seeds, job.processes, job.out
    )
