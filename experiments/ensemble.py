"""Select an ensemble from the finished runs of an MLflow experiment, on val; report it on test."""

from collections.abc import Callable

from hhmnet_platform.scripts.entry import run_script


def load() -> Callable[[], object]:
    from hhmnet_platform.fusion.select_ensemble import EnsembleJob, run_ensemble
    from hhmnet_platform.scripts.cli import parse_config

    job = parse_config("ensemble.py", __doc__, EnsembleJob)
    return lambda: run_ensemble(job)


if __name__ == "__main__":
    run_script(load)
