"""Test a trained model on the clips of a store: its own test split, or another data set.

For example: test.py --model NAME --data.store data/nw_ucla
             test.py --model NAME --data.store data/other --data.split all --class_map classes.yaml
"""

from collections.abc import Callable

from hhmnet_platform.scripts.entry import run_script


def load() -> Callable[[], object]:
    from hhmnet_platform.scripts.cli import parse_config
    from hhmnet_platform.serving.evaluate import EvaluationJob, run_evaluation

    job = parse_config("test.py", __doc__, EvaluationJob)
    return lambda: run_evaluation(job)


if __name__ == "__main__":
    run_script(load)
