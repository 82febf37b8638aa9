"""Train both phases, fuse them and select an ensemble. Finished steps are not repeated.

By default: a demo on synthetic skeletons and video, in about ten minutes on two cores.
"""

from hhmnet_platform.cli import parse_config, run_script
from hhmnet_platform.pipeline import Pipeline, run_pipeline
from hhmnet_platform.runs.startup import process_start_time


def main() -> None:
    run_pipeline(parse_config("pipeline.py", __doc__, Pipeline), began=process_start_time())


if __name__ == "__main__":
    run_script(main)
