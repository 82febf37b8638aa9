"""Train both phases, fuse them and select an ensemble. Finished steps are not repeated.

By default: a demo on synthetic skeletons and video, in about ten minutes on two cores.
"""

from collections.abc import Callable

from hhmnet_platform.scripts.entry import run_script


def load() -> Callable[[], object]:
    from hhmnet_platform.pipeline import Pipeline, run_pipeline
    from hhmnet_platform.runs.startup import process_start_time
    from hhmnet_platform.scripts.cli import parse_config

    job = parse_config("pipeline.py", __doc__, Pipeline)
    return lambda: run_pipeline(job, began=process_start_time())


if __name__ == "__main__":
    run_script(load)
