"""Fuse finished runs with equal and with published weights. No validation split is needed."""

from collections.abc import Callable

from hhmnet_platform.scripts.entry import run_script


def load() -> Callable[[], object]:
    from hhmnet_platform.fusion.fixed_weights import FixedFusion, run_fixed_fusion
    from hhmnet_platform.scripts.cli import parse_config

    job = parse_config("fuse.py", __doc__, FixedFusion)
    return lambda: run_fixed_fusion(job)


if __name__ == "__main__":
    run_script(load)
