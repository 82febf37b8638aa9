"""Ablate phase 1: train it whole and without each of its components, over several seeds.

Runs are trained side by side on the cores of one machine, without Ray. A run of this script that
was interrupted continues where it stopped.
"""

from collections.abc import Callable

from hhmnet_platform.scripts.entry import run_script


def load() -> Callable[[], object]:
    from hhmnet_platform.ablation.jobs import Phase1Ablation, run_phase1_ablation
    from hhmnet_platform.scripts.cli import parse_config

    job = parse_config("ablate.py", __doc__, Phase1Ablation)
    return lambda: run_phase1_ablation(job)


if __name__ == "__main__":
    run_script(load)
