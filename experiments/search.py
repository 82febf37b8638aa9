"""Searches what phase 1 is trained with, by val: Optuna's TPE and ASHA under Ray Tune.

`search.py fusion` searches the weights that fuse finished runs.
"""

import sys

from hhmnet_platform.fusion_search import FusionSearch
from hhmnet_platform.fusion_search import run_search as run_fusion_search
from hhmnet_platform.scripts import given, run_script
from hhmnet_platform.search import Search, run_search


def main() -> None:
    if sys.argv[1:2] == ["fusion"]:
        about = "Weights that fuse finished runs, by Optuna on val."
        run_fusion_search(given("search.py fusion", about, FusionSearch, sys.argv[2:]))
    else:
        run_search(given("search.py", __doc__, Search))


if __name__ == "__main__":
    run_script(main)
