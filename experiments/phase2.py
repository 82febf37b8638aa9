"""Trains phase 2: a video network guided by a finished phase-1 run, and fuses the two."""

from hhmnet_platform.scripts import given, run_script
from hhmnet_platform.startup import process_began
from hhmnet_platform.train import Phase2Job, run_phase


def main() -> None:
    run_phase(given("phase2.py", __doc__, Phase2Job), began=process_began())


if __name__ == "__main__":
    run_script(main)
