"""Fuse finished runs with equal and with published weights. No validation split is needed."""

from hhmnet_platform.cli import parse_config, run_script
from hhmnet_platform.fusion.fixed_weights import FixedFusion, run_fixed_fusion


def main() -> None:
    run_fixed_fusion(parse_config("fuse.py", __doc__, FixedFusion))


if __name__ == "__main__":
    run_script(main)
