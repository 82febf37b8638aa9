"""Ablate phase 2: guidance and part contrast on, off and exchanged, over several seeds.

Runs are trained side by side on the cores of one machine, without Ray. A run of this script that
was interrupted continues where it stopped.
"""

from collections.abc import Callable

from hhmnet_platform.scripts.entry import run_script


def load() -> Callable[[], object]:
    from hhmnet_platform.ablation.jobs import Phase2Ablation, run_phase2_ablation
    from hhmnet_platform.scripts.cli import parse_config

    job = parse_config("ablate_phase2.py", __doc__, Phase2Ablation)
    return lambda: run_phase2_ablation(job)


if __name__ == "__main__":
    run_script(load)
