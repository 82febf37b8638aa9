"""Both phases in one go, and their fusion; what is done stays. Without arguments: a demo."""

from hhmnet_platform.pipeline import Pipeline, run_pipeline
from hhmnet_platform.scripts import given, run_script
from hhmnet_platform.startup import process_began


def main() -> None:
    run_pipeline(given("pipeline.py", __doc__, Pipeline), began=process_began())


if __name__ == "__main__":
    run_script(main)
