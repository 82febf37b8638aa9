"""Messages are unpickled by every process on their way, which should stay light."""

import pickle
import subprocess
import sys

from hhmnet_core.notices import PassProgress, StepProgress
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.runs.messages import EpochsDone, SavedWithin


def test_messages_need_neither_torch_nor_ray() -> None:
    code = (
        "import sys, hhmnet_core.notices, hhmnet_platform.runs.messages; "
        "print({'torch', 'ray'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_messages_survive_the_queue() -> None:
    messages = [
        EpochsDone([EpochRecord(1, 2.0, {"joint": {"val/top1": 0.5}})]),
        SavedWithin(1, 4),
        PassProgress("scoring", 1, 2),
        StepProgress(1, 2, 3, 0.5, 6.0, 0.7),
    ]
    assert pickle.loads(pickle.dumps(messages)) == messages
