"""What a run will take, said before it starts."""

from contextlib import ExitStack
from dataclasses import dataclass

import torch

from hhmnet_core.data.footage import load_footage, with_video
from hhmnet_core.data.protocols import split
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training import phase1
from hhmnet_core.training.phase1 import Phase1Config
from hhmnet_platform.cluster import Plan
from hhmnet_platform.job import Run
from hhmnet_platform.members import VIDEO
from hhmnet_platform.progress import clock
from hhmnet_platform.workspace import fetched

START_SECONDS = 25  # Ray, the workers' imports, the process group; measured on two cores
EVALUATION_SHARE = 0.35  # of a training step's time: forward alone
COPIES_IN_CHECKPOINT = 5  # weights, their average, the best epoch's, two moments of AdamW
CHECKPOINTS_ON_DISK = 3  # two kept, one on its way


@dataclass(frozen=True)
class Estimate:
    """The size and price of a run.

    Attributes:
        plan: The layout.
        clips: In train, val and test.
        batch: Clips in a global batch.
        steps: In an epoch.
        epochs: In the run.
        parameters: Of each modality's encoder.
        step_seconds: Measured on this machine, without communication.
    """

    plan: Plan
    clips: tuple[int, int, int]
    batch: int
    steps: int
    epochs: int
    parameters: dict[str, int]
    step_seconds: float

    @property
    def seconds(self) -> float:
        train, val, test = self.clips
        evaluated = (val * self.epochs + val + test) / max(1, train) * self.steps
        steps = self.steps * self.epochs + EVALUATION_SHARE * evaluated
        return START_SECONDS + steps * self.step_seconds

    @property
    def checkpoint_bytes(self) -> int:
        return 4 * COPIES_IN_CHECKPOINT * sum(self.parameters.values())

    def lines(self) -> list[str]:
        """For the terminal."""
        train, val, test = self.clips
        millions = ", ".join(f"{name} {n / 1e6:.2f} M" for name, n in self.parameters.items())
        disk = CHECKPOINTS_ON_DISK * self.checkpoint_bytes / 1e6
        share = -(-self.batch // self.plan.data_parallel)
        steps = self.steps * self.epochs
        measured = f"{self.step_seconds:.3f} s a step measured on this machine"
        return [
            f"clips       {train} train, {val} val, {test} test",
            f"batch       {self.batch} clips, {share} on a worker",
            f"parameters  {millions}",
            f"steps       {self.steps} an epoch, {steps} in {self.epochs} epochs",
            f"time        about {clock(self.seconds)}, from {measured}",
            f"disk        about {disk:.0f} MB of checkpoints",
        ]


def estimate(run: Run, plan: Plan) -> Estimate:
    """Measures a few training steps in this process; starts nothing, keeps nothing."""
    config, clips = run.config, run.clips
    parts = split(clips, config.data.protocol, config.data.selection)
    device = torch.device("cuda" if plan.gpu and torch.cuda.is_available() else "cpu")
    torch.set_num_threads(plan.cpus_per_worker)
    if isinstance(config, Phase1Config):
        seconds = phase1.measure_step_seconds(
            config,
            clips,
            device,
            data_parallel=plan.data_parallel,
            modality_parallel=plan.modality_parallel,
        )
        parameters = {
            m: sum(p.numel() for p in phase1.make_encoder(config, m, clips).parameters())
            for m in MODALITIES
        }
    else:
        from hhmnet_core.training import phase2

        footage = load_footage(config.data.store)
        parts = with_video(parts, footage)
        with ExitStack() as stack:
            seconds, number = phase2.measure_step_seconds(
                config,
                clips,
                footage,
                fetched(run.guide_checkpoint, stack),
                device,
                data_parallel=plan.data_parallel,
            )
        parameters = {VIDEO: number}
    return Estimate(
        plan=plan,
        clips=(len(parts.train), len(parts.val), len(parts.test)),
        batch=config.optim.batch,
        steps=-(-len(parts.train) // config.optim.batch),
        epochs=config.optim.epochs,
        parameters=parameters,
        step_seconds=seconds,
    )
