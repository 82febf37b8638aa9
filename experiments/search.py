"""Search the hyper-parameters of phase 1 on validation, with Optuna's TPE and ASHA under Ray Tune.

`search.py phase2` searches those of phase 2; `search.py fusion` searches the weights that fuse
finished runs.
"""

import sys
from collections.abc import Callable

from hhmnet_platform.scripts.entry import run_script


def load() -> Callable[[], object]:
    from hhmnet_platform.fusion.search_weights import FusionSearch, run_fusion_search
    from hhmnet_platform.scripts.cli import parse_config
    from hhmnet_platform.search.config import Phase1Search, Phase2Search, Search
    from hhmnet_platform.search.run import run_search

    job: Search
    match sys.argv[1:2]:
        case ["fusion"]:
            about = "Search the weights that fuse finished runs, with Optuna on validation."
            fusion = parse_config("search.py fusion", about, FusionSearch, sys.argv[2:])
            return lambda: run_fusion_search(fusion)
        case ["phase2"]:
            about = "Search the hyper-parameters of phase 2 by the video's top-1 on validation."
            job = parse_config("search.py phase2", about, Phase2Search, sys.argv[2:])
        case _:
            job = parse_config("search.py", __doc__, Phase1Search)
    return lambda: run_search(job)


if __name__ == "__main__":
    run_script(load)
