"""Records load in any process: without torch, without Ray, and pickled ones too."""

import pickle
import subprocess
import sys

from hhmnet_core.training.records import EpochRecord, PartialEpoch, Progress

UNPICKLE = """
import pickle, sys

progress = pickle.loads(bytes.fromhex(sys.argv[1]))
print(progress)
heavy = {"torch", "ray", "numpy", "mlflow", "pyarrow", "transformers"} & set(sys.modules)
assert not heavy, heavy
"""


def test_records_are_unpickled_without_torch_ray_or_another_heavy_library() -> None:
    progress = Progress(
        [EpochRecord(1, 2.5, {"joint": {"train/loss": 0.5}})], PartialEpoch(3, 1.0, [[1.0, 2.0]])
    )
    command = [sys.executable, "-c", UNPICKLE, pickle.dumps(progress).hex()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == repr(progress)
