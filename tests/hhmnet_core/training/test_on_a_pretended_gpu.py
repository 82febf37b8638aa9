"""A training step waits for no GPU and copies once to it, audited on a pretended one."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from video_files import write_video_store

from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.inputs.video_augment import VideoAugmentConfig
from hhmnet_core.models.backbones import VideoModelConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.augment import AugmentConfig
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import ContrastConfig, Phase1Config
from hhmnet_core.training.phase1.fitting import fit
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_core.training.recorded_steps import WARM_UP

pytestmark = pytest.mark.slow  # compiling the library and running the steps take a minute or more
TESTS = Path(__file__).parents[2]
Records = dict[str, list[dict[str, dict[str, int]]]]
OPTIM = OptimConfig(epochs=1, batch=5, compile=False)  # there is nothing to compile for
PHASE1 = Phase1Config(
    data=DataConfig(frames=16, normalise_size=True, align=True),
    model=ModelConfig(widths=[16, 32], heads=2, embedding=8),
    augment=AugmentConfig(mirror=0.5),
    contrast=ContrastConfig(positives="class"),
    optim=OPTIM,
)
PHASE2 = Phase2Config(
    video=VideoModelConfig(widths=[8, 16], depths=[1, 1], embedding=8),
    augment=VideoAugmentConfig(mirror=0.5),
    optim=OPTIM,
)


@pytest.fixture(scope="session")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that pretends a device."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        pytest.skip(f"needs a C++ compiler ({compiler})")
    library = tmp_path_factory.mktemp("guard") / "guard.so"
    build = "import sys; from pathlib import Path; from pretended_cuda.device import build; "
    python(build + "build(Path(sys.argv[1]))", str(library))
    return library


def python(code: str, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


FIELD = {
    "motion_share": 0.0,
    "normalise_axes": True,
    "axes_extent": "clip",
    "whole_frames": True,
    "motion_step": 3,
}
CLOCK = DataConfig(motion_share=0)
FIELD_PHASE1 = replace(
    PHASE1,
    data=replace(PHASE1.data, **FIELD),
    augment=replace(PHASE1.augment, motion_share=0),
)


@pytest.fixture(scope="session")
def records(guard: Path, tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Records:
    """Records of two steps of each job: on clips of one and two bodies, and on videos."""
    folder = tmp_path_factory.mktemp("pretended")
    films = write_video_store(folder / "films")
    clips = load_clips(films, folder / "cache")
    (report,) = fit(replace(PHASE1, augment=AugmentConfig()), clips, Mesh())
    report.state.save(folder / "phase1")
    default = Phase1Config(optim=OPTIM)
    jobs: dict[str, dict[str, Any]] = {
        "skeletons": {"config": PHASE1},
        "skeletons of a file": {"config": PHASE1, "resident": False},
        "the field's reader": {"config": FIELD_PHASE1},
        "the field's reader of a file": {"config": FIELD_PHASE1, "resident": False},
        "four encoders": {"config": default},
        "one encoder": {"config": replace(default, data=CLOCK), "modality_parallel": 4},
        "recorded steps": {"config": replace(PHASE1, optim=replace(OPTIM, capture=True))},
        "videos": {"config": PHASE2},
        "videos of a file": {"config": PHASE2, "resident": False},
    }
    for name, job in jobs.items():
        filmed = name.startswith("videos")
        job |= {
            "phase": "phase2" if filmed else "phase1",
            "store": str(films if filmed else tiny_store),
            "cache": str(folder / "cache"),
            "checkpoint": str(folder / "phase1"),
            "config": asdict(job["config"]),
            "steps": WARM_UP + 2 if name == "recorded steps" else 2,
        }
    code = "from pretended_cuda.steps import main; main()"
    found: Records = json.loads(python(code, str(guard), json.dumps(jobs)))
    return found


def test_no_step_waits_and_each_copies_once(records: Records) -> None:
    assert len(records) == 9
    for name, steps in records.items():
        for record in steps:
            assert record["waits"] == record["blocking"] == record["misplaced"] == {}, name
            assert sum(record["copies"].values()) == 1, name
            assert sum(record["launches"].values()) > 100, name


def test_a_step_launches_few_kernels(records: Records) -> None:
    """With the default network; one after the other, four encoders launch 5,100."""
    budgets = {"four encoders": 1700, "one encoder": 1500}
    for name, budget in budgets.items():
        assert max(sum(record["launches"].values()) for record in records[name]) <= budget


WAITING = """
import json, sys
from pathlib import Path
from pretended_cuda import device
device.load(Path(sys.argv[1]))
import torch
from pretended_cuda.audit import CUDA, Audit

records = {}
with Audit() as audit:
    x = torch.randn(4, 3).to(CUDA)
    host = torch.ones(3)
    locked = torch.empty(3, pin_memory=True)
    for name, work in {
        "item": lambda: x.sum().item(),
        "to the host": lambda: x.cpu(),
        "from the host": lambda: host.to(CUDA),
        "from pageable memory": lambda: host.to(CUDA, non_blocking=True),
        "from locked memory": lambda: locked.to(CUDA, non_blocking=True),
        "host tensor": lambda: x[torch.tensor([0, 2])],
        "product": lambda: (x @ x.T).relu(),
        "view": lambda: x[1:].T.unflatten(0, (3, 1)),
    }.items():
        audit.restart()
        work()
        counts = {kind: sum(each.values()) for kind, each in audit.record().items()}
        records[name] = {kind: count for kind, count in counts.items() if count}
print(json.dumps(records))
"""


def test_the_audit_sees_what_launches_copies_and_waits(guard: Path) -> None:
    records = json.loads(python(WAITING, str(guard)))
    assert records == {
        "item": {"launches": 1, "waits": 1},
        "to the host": {"waits": 1},
        "from the host": {"copies": 1, "blocking": 1},
        "from pageable memory": {"copies": 1, "blocking": 1},
        "from locked memory": {"copies": 1},
        "host tensor": {"launches": 1, "misplaced": 1},
        "product": {"launches": 2},
        "view": {},
    }
