"""Train phase 1: encoders of four skeletal modalities, tied by contrast. By default: a demo."""

from hhmnet_platform.cli import parse_config, run_script
from hhmnet_platform.runs.config import Phase1Job
from hhmnet_platform.runs.launch import run_phase
from hhmnet_platform.runs.startup import process_start_time


def main() -> None:
    run_phase(parse_config("phase1.py", __doc__, Phase1Job), began=process_start_time())


if __name__ == "__main__":
    run_script(main)
