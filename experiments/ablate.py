"""Ablates phase 1: trains it whole and without each of its parts, over several seeds.

Runs side by side on one machine's cores, without Ray; killed and started again it goes on.
"""

from dataclasses import dataclass, field

from hhmnet_core.errors import InputError
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.ablation.runner import print_ablation
from hhmnet_platform.ablation.variants import PHASE1, phase1_ablation
from hhmnet_platform.cli import parse_config, run_script


@dataclass
class Ablation(Phase1Config):
    """Phase 1, and how it is ablated.

    Attributes:
        variants: What is trained.
        seeds: Each variant is trained with each; they replace `seed`.
        processes: Runs side by side; null: one a CPU core.
        out: File that finished runs are appended to, a line each.
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
