"""Train phase 1: encoders of four skeletal modalities, tied by contrast. By default: a demo."""

from collections.abc import Callable

from hhmnet_platform.scripts.entry import run_script


def load() -> Callable[[], object]:
    from hhmnet_platform.runs.config import Phase1Job
    from hhmnet_platform.runs.launch import run_phase
    from hhmnet_platform.runs.startup import process_start_time
    from hhmnet_platform.scripts.cli import parse_config

    job = parse_config("phase1.py", __doc__, Phase1Job)
    return lambda: run_phase(job, began=process_start_time())


if __name__ == "__main__":
    run_script(load)
