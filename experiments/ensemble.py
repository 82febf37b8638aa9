"""Selects an ensemble from the finished runs of an MLflow experiment, on val; reports on test."""

from hhmnet_platform.ensemble_job import EnsembleJob, run_ensemble
from hhmnet_platform.scripts import given, run_script


def main() -> None:
    run_ensemble(given("ensemble.py", __doc__, EnsembleJob))


if __name__ == "__main__":
    run_script(main)
