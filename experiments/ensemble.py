"""Select an ensemble from the finished runs of an MLflow experiment, on val; report it on test."""

from hhmnet_platform.cli import parse_config, run_script
from hhmnet_platform.fusion.select_ensemble import EnsembleJob, run_ensemble


def main() -> None:
    run_ensemble(parse_config("ensemble.py", __doc__, EnsembleJob))


if __name__ == "__main__":
    run_script(main)
