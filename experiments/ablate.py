"""Ablate phase 1: train it whole and without each of its components, over several seeds.

Runs are trained side by side on the cores of one machine, without Ray. A run of this script that
was interrupted continues where it stopped.
"""

from dataclasses import dataclass, field

from hhmnet_core.errors import InputError
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.ablation.runner import print_ablation
from hhmnet_platform.ablation.variants import PHASE1, phase1_ablation
from hhmnet_platform.cli import parse_config, run_script


@dataclass
class Ablation(Phase1Config):
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


def main() -> None:
    job = parse_config("ablate.py", __doc__, Ablation)
    if not job.data.store:
        raise InputError("--data.store is missing: give a store that experiments/prepare.py made.")
    config = Phase1Config(job.data, job.model, job.augment, job.contrast, job.optim)
    print_ablation(phase1_ablation(config), config, job.variants, job.seeds, job.processes, job.out)


if __name__ == "__main__":
    run_script(main)
