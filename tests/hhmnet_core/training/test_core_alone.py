"""Phase 1 in a plain script where neither Ray nor MLflow can be imported."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"ray", "mlflow", "optuna", "jsonargparse", "rich"}:
            raise ImportError(f"there is no {name} here")

sys.meta_path.insert(0, Refuse())

from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.fitting import fit

store, cache = sys.argv[1:]
config = Phase1Config(optim=OptimConfig(epochs=1))
for report in fit(config, load_clips(store, cache), Mesh()):
    print(report.epoch, report.metrics["fusion"]["test/top1"], len(report.scores))
"""


@pytest.mark.integration
def test_phase1_trains_for_an_epoch_without_ray_or_mlflow(tiny_store: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, tiny_store, tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    epoch, accuracy, tables = done.stdout.split()
    assert (epoch, tables) == ("1", "10")
    assert 0 <= float(accuracy) <= 1
