"""Ablates phase 2: guidance and part contrast on, off and exchanged, over several seeds.

Runs side by side on one machine's cores, without Ray; killed and started again it goes on.
"""

import os
from dataclasses import dataclass, field, fields
from pathlib import Path

from jsonargparse import ArgumentParser

from hhmnet_core.errors import InputError
from hhmnet_core.training.phase2_config import Phase2Config
from hhmnet_platform.ablated import PHASE2, of_phase2
from hhmnet_platform.ablation import run_ablation, summary
from hhmnet_platform.scripts import parse, run_script


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
    parser = ArgumentParser(prog="ablate_phase2.py", description=__doc__)
    parser.add_argument("--config", action="config", help="A YAML file with any of the fields.")
    parser.add_class_arguments(Ablation)
    values = parser.instantiate(parse(parser))
    job = Ablation(**{name.name: values[name.name] for name in fields(Ablation)})
    for name, value in (("data.store", job.data.store), ("phase1", job.phase1)):
        if not value:
            raise InputError(f"--{name} is missing: expected a folder.")
    config = Phase2Config(**{name.name: getattr(job, name.name) for name in fields(Phase2Config)})
    subject = of_phase2(job.phase1)
    outcomes = []
    processes = (os.cpu_count() or 1) if job.processes is None else job.processes
    runs = run_ablation(subject, config, job.variants, job.seeds, processes, Path(job.out))
    for outcome in runs:
        outcomes.append(outcome)
        shares = "  ".join(f"{name} {100 * share:.1f}" for name, share in outcome.top1.items())
        print(f"{outcome.variant}, seed {outcome.seed}: {shares}", flush=True)
    print("\n" + summary(subject, outcomes))


if __name__ == "__main__":
    run_script(main)
