"""Ablates phase 2: guidance and part contrast on, off and exchanged, over several seeds.

Runs side by side on one machine's cores, without Ray; killed and started again it goes on.
"""

from dataclasses import dataclass, field, fields

from hhmnet_core.errors import InputError
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.ablation.runner import print_ablation
from hhmnet_platform.ablation.variants import PHASE2, phase2_ablation
from hhmnet_platform.cli import parse_config, run_script


@dataclass
class Ablation(Phase2Config):
    """Phase 2, and how it is ablated.

    Attributes:
        phase1: Folder of the finished phase-1 run that guides, or of its last checkpoint.
        variants: What is trained.
        seeds: Each variant is trained with each; they replace `seed`.
        processes: Runs side by side; null: one a CPU core.
        out: File that finished runs are appended to, a line each.
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
