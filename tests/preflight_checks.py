"""preflight_checks.py STORE [WORKSPACE CHECKED]...: check the nodes of $RAY_ADDRESS for each pair.

Prints "answer: " and what is wrong, or "passed", for each.
"""

import sys

import ray

from hhmnet_core.errors import InputError
from hhmnet_core.store.reading import load_clips
from hhmnet_platform.cluster.preflight import check_nodes

store, *pairs = sys.argv[1:]
ray.init(log_to_driver=False)
for workspace, checked in zip(pairs[::2], pairs[1::2], strict=True):
    try:
        check_nodes(workspace, checked, load_clips(store))
        print("answer: passed")
    except InputError as error:
        print(f"answer: {error}")
