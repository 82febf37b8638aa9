"""Audits training steps on the pretended device, and prints the records as JSON.

Arguments: the library of the guard; phase1 or phase2; JSON with store, cache, config, number of
steps, whether clips are resident, and the checkpoint of phase 2's guide.
"""

import json
import sys
from pathlib import Path

from pretended_cuda import device

device.load(Path(sys.argv[1]))

from hhmnet_core.from_json import from_json  # noqa: E402
from hhmnet_core.inputs import memory  # noqa: E402
from hhmnet_core.inputs.footage import load_footage  # noqa: E402
from hhmnet_core.store.reading import load_clips  # noqa: E402
from hhmnet_core.training.mesh import Mesh  # noqa: E402
from hhmnet_core.training.phase1.config import Phase1Config  # noqa: E402
from hhmnet_core.training.phase1.trainer import Phase1Trainer  # noqa: E402
from hhmnet_core.training.phase2.config import Phase2Config  # noqa: E402
from hhmnet_core.training.phase2.frozen_encoder import FrozenEncoder  # noqa: E402
from hhmnet_core.training.phase2.trainer import Phase2Trainer  # noqa: E402
from pretended_cuda.audit import CUDA, Audit  # noqa: E402


def main() -> None:
    phase, given = sys.argv[2], json.loads(sys.argv[3])
    memory.free_memory = lambda device: 1 << 40 if given.get("resident", True) else 0
    clips = load_clips(given["store"], given["cache"])
    records = []
    with Audit() as audit:
        trainer: Phase1Trainer | Phase2Trainer
        if phase == "phase1":
            config = from_json(Phase1Config, given["config"])
            trainer = Phase1Trainer(config, clips, Mesh(), CUDA)
        else:
            footage = load_footage(given["store"], given["cache"])
            second = from_json(Phase2Config, given["config"])
            guide = FrozenEncoder.read(Path(given["checkpoint"]), "joint", clips, CUDA)
            trainer = Phase2Trainer(second, clips, footage, guide, Mesh(), CUDA)
        order = trainer.epoch_order(1)
        for step in range(given["steps"]):
            audit.restart()
            trainer.train_step(trainer.prepare(1, step, order[step]))
            records.append(audit.record())
    print(json.dumps(records))


if __name__ == "__main__":
    main()
