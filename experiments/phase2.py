"""Train phase 2: a video network guided by a finished phase-1 run, and fuse the two.

By default: a demo, which trains its phase 1 first if it does not exist.
"""

from collections.abc import Callable

from hhmnet_platform.scripts.entry import run_script


def load() -> Callable[[], object]:
    from hhmnet_platform.pipeline import run_phase2
    from hhmnet_platform.runs.config import Phase2Job
    from hhmnet_platform.runs.startup import process_start_time
    from hhmnet_platform.scripts.cli import parse_config

    job = parse_config("phase2.py", __doc__, Phase2Job)
    return lambda: run_phase2(job, began=process_start_time())


if __name__ == "__main__":
    run_script(load)
