"""Audits training steps and their notices on the pretended device; prints records as JSON, by job.

Arguments: the library of the guard; JSON of the jobs by name, each with phase, store, cache,
config, number of steps, whether clips are resident, P of the mesh, and phase 2's checkpoint of its
guide.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pretended_cuda import device

device.load(Path(sys.argv[1]))

import torch  # noqa: E402

from hhmnet_core import notices  # noqa: E402
from hhmnet_core.from_json import from_json  # noqa: E402
from hhmnet_core.inputs import memory  # noqa: E402
from hhmnet_core.inputs.footage import load_footage  # noqa: E402
from hhmnet_core.notices import listening  # noqa: E402
from hhmnet_core.store.reading import load_clips  # noqa: E402
from hhmnet_core.training import trainer as trainer_module  # noqa: E402
from hhmnet_core.training.mesh import Mesh  # noqa: E402
from hhmnet_core.training.phase1.config import Phase1Config  # noqa: E402
from hhmnet_core.training.phase1.trainer import Phase1Trainer  # noqa: E402
from hhmnet_core.training.phase2.config import Phase2Config  # noqa: E402
from hhmnet_core.training.phase2.frozen_encoder import FrozenEncoder  # noqa: E402
from hhmnet_core.training.phase2.trainer import Phase2Trainer  # noqa: E402
from hhmnet_core.training.recorded_steps import Work  # noqa: E402
from hhmnet_core.training.step_watch import StepWatch  # noqa: E402
from pretended_cuda.audit import CUDA, Audit  # noqa: E402


def make_trainer(job: dict[str, Any]) -> Phase1Trainer | Phase2Trainer:
    clips = load_clips(job["store"], job["cache"])
    if job["phase"] == "phase1":
        config = from_json(Phase1Config, job["config"])
        mesh = Mesh.alone(job.get("modality_parallel", 1))
        return Phase1Trainer(config, clips, mesh, CUDA)
    footage = load_footage(job["store"], job["cache"])
    guide = FrozenEncoder.read(Path(job["checkpoint"]), "joint", clips, CUDA)
    return Phase2Trainer(
        from_json(Phase2Config, job["config"]), clips, footage, guide, Mesh(), CUDA
    )


class Again:
    """Stands for a recorder of graphs: a recorded step is taken again, operation by operation."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def run(self, work: Work) -> torch.Tensor:
        return work()

    def record(self, work: Work) -> tuple[Callable[[], None], torch.Tensor]:
        result = torch.zeros(4, 3, dtype=torch.float64, device=self.device)

        def replay() -> None:
            result.copy_(work())

        return replay, result


def _free(size: int, device: torch.device) -> int:
    return size


def main() -> None:
    trainer_module.GraphRecorder = Again
    notices.INTERVAL_SECONDS = 0.0  # a notice of each step
    records: dict[str, list[dict[str, dict[str, int]]]] = {}
    for name, job in json.loads(sys.argv[2]).items():
        free = 1 << 40 if job.get("resident", True) else 0
        memory.free_memory = partial(_free, free)
        with Audit() as audit:
            trainer = make_trainer(job)
            order = trainer.epoch_order(1)
            records[name] = []
            sent: list[Any] = []
            with listening(sent.append):
                watch = StepWatch(trainer.mesh)
            watch.begin(1, 0, len(order))
            for step in range(job["steps"]):
                audit.restart()
                sums_m3 = trainer.train_step(trainer.prepare(1, step, order[step]))
                watch.step(sums_m3, len(order[step]))
                records[name].append(audit.record())
            assert [notice.step for notice in sent] == list(range(1, job["steps"] + 1))
    print(json.dumps(records))


if __name__ == "__main__":
    main()
