"""Ablates phase 1: trains it whole and without each of its parts, over several seeds.

Runs side by side on one machine's cores, without Ray; killed and started again it goes on.
"""

import os
from dataclasses import dataclass, field, fields
from pathlib import Path

from jsonargparse import ArgumentParser

from hhmnet_core.errors import InputError
from hhmnet_core.training.phase1 import Phase1Config
from hhmnet_platform.ablated import PHASE1, of_phase1
from hhmnet_platform.ablation import run_ablation, summary
from hhmnet_platform.scripts import parse, run_script


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
    parser = ArgumentParser(prog="ablate.py", description=__doc__)
    parser.add_argument("--config", action="config", help="A YAML file with any of the fields.")
    parser.add_class_arguments(Ablation)
    values = parser.instantiate(parse(parser))
    job = Ablation(**{name.name: values[name.name] for name in fields(Ablation)})
    if not job.data.store:
        raise InputError("--data.store is missing: give a store that experiments/prepare.py made.")
    config = Phase1Config(job.data, job.model, job.augment, job.contrast, job.optim)
    outcomes = []
    processes = (os.cpu_count() or 1) if job.processes is None else job.processes
    subject = of_phase1(config)
    for outcome in run_ablation(subject, config, job.variants, job.seeds, processes, Path(job.out)):
        outcomes.append(outcome)
        shares = "  ".join(f"{name} {100 * share:.1f}" for name, share in outcome.top1.items())
        print(f"{outcome.variant}, seed {outcome.seed}: {shares}", flush=True)
    print("\n" + summary(subject, outcomes))


if __name__ == "__main__":
    run_script(main)
