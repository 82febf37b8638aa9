"""Ablate phase 2: guidance and part contrast on, off and exchanged, over several seeds.

Runs are trained side by side on the cores of one machine, without Ray. A run of this script that
was interrupted continues where it stopped.
"""

from dataclasses import dataclass, field, fields

from hhmnet_core.errors import InputError
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.ablation.runner import print_ablation
from hhmnet_platform.ablation.variants import PHASE2, phase2_ablation
from hhmnet_platform.cli import parse_config, run_script


@dataclass
class Ablation(Phase2Config):
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


def main() -> None:
    job = parse_config("ablate_phase2.py", __doc__, Ablation)
    for name, value in (("data.store", job.data.store), ("phase1", job.phase1)):
        if not value:
            raise InputError(f"--{name} is missing: expected a folder.")
    config = Phase2Config(**{name.name: getattr(job, name.name) for name in fields(Phase2Config)})
    print_ablation(
        phase2_ablation(job.phase1), config, job.variants, job.seeds, job.processes, job.out
    )


if __name__ == "__main__":
    run_script(main)
