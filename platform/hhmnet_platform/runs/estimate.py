"""What a run will take, said before it starts."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import torch

from hhmnet_core.inputs.footage import load_footage
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.phase1 import fitting as phase1
from hhmnet_core.training.phase1.fitting import Phase1Config
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.figures.progress import clock
from hhmnet_platform.members import VIDEO
from hhmnet_platform.runs.run import Run
from hhmnet_platform.storage.workspace import local_copy

START_SECONDS = 25  # Ray, the workers' imports, the process group; measured on two cores
EVALUATION_SHARE = 0.35  # of a training step's time: forward alone
COPIES_IN_CHECKPOINT = 5  # weights, their average, the best epoch's, two moments of AdamW
CHECKPOINTS_ON_DISK = 3  # two kept, one on its way


@dataclass(frozen=True)
class Measured:
    """A training step of one worker, without communication.

    Attributes:
        seconds: It took.
        parameters: Of each network.
    """

    seconds: float
    parameters: dict[str, int]


@dataclass(frozen=True)
class Estimate:
    """The size and price of a run.

    Attributes:
        plan: The layout.
        clips: In train, val and test.
        batch: Clips in a global batch.
        steps: In an epoch.
        epochs: In the run.
        measured: For the least and the most workers that there may be, or those that there are.
        where: The steps were measured.
        price: Of a worker for an hour; 0 where it is not known.
    """

    plan: MeshPlan
    clips: tuple[int, int, int]
    batch: int
    steps: int
    epochs: int
    measured: tuple[Measured, ...]
    where: str
    price: float = 0.0

    @property
    def parameters(self) -> dict[str, int]:
        return self.measured[0].parameters

    def seconds(self, step_seconds: float) -> float:
        """Of the whole run, where a step takes so long."""
        train, val, test = self.clips
        evaluated = (val * self.epochs + val + test) / max(1, train) * self.steps
        steps = self.steps * self.epochs + EVALUATION_SHARE * evaluated
        return START_SECONDS + steps * step_seconds

    @property
    def checkpoint_bytes(self) -> int:
        return 4 * COPIES_IN_CHECKPOINT * sum(self.parameters.values())

    def lines(self) -> list[str]:
        """For the terminal."""
        train, val, test = self.clips
        millions = ", ".join(f"{name} {n / 1e6:.2f} M" for name, n in self.parameters.items())
        steps = self.steps * self.epochs
        disk = CHECKPOINTS_ON_DISK * self.checkpoint_bytes / 1e6
        lines = [
            f"clips       {train} train, {val} val, {test} test",
            f"parameters  {millions}",
            f"steps       {self.steps} an epoch, {steps} in {self.epochs} epochs",
            f"disk        about {disk:.0f} MB of checkpoints",
        ]
        for plan, measured in zip(self.plan.ends(), self.measured, strict=True):
            seconds = self.seconds(measured.seconds)
            if self.plan.is_elastic:
                lines.append(f"of {plan.workers:<8} {plan}")
            lines += [
                share_line(self.batch, plan),
                f"time        about {clock(seconds)}, from {measured.seconds:.3f} s a step "
                f"measured on {self.where}, without communication",
            ]
            if self.price:
                lines.append(f"cost        {cost(plan.workers, seconds, self.price)}")
        return lines


def share_line(batch: int, plan: MeshPlan) -> str:
    """What a worker gets of a global batch."""
    return f"batch       {batch} clips, {-(-batch // plan.data_parallel)} on a worker"


def cost(workers: int, seconds: float, price: float) -> str:
    """In the currency of the price of a worker for an hour."""
    hours = seconds / 3600
    return (
        f"about {workers * hours * price:.2f} ({workers} workers for {hours:.2f} h at {price:g} an "
        "hour each)"
    )


def plan_lines(run: Run, plan: MeshPlan, resources: Resources) -> list[str]:
    """Where a run will go, before anything of it starts."""
    lines = [f"nodes       {resources.listed()}", f"mesh        {plan}"]
    room = resources.room(plan.cpus_per_worker, plan.gpu)
    if room < plan.sizes[0]:
        lines.append(f"note        room for {room} workers now: the cluster has to grow first")
    elif room < plan.workers:
        lines.append(f"note        room for {room} workers now: more of them when nodes join")
    if not resources.driver_on_head:
        lines.append(
            "note        this process is not on the head node: if its node goes, so does the run"
        )
    return lines + [f"note        {note}" for note in run.notes]


def estimate(run: Run, plan: MeshPlan, resources: Resources, price: float = 0.0) -> Estimate:
    """Measures a few training steps; starts no run, keeps nothing.

    On a cluster they are measured on one of its nodes, as a worker has it, if there is room now;
    Ray has to be joined then.
    """
    config = run.config
    remote = resources.where != "this machine" and resources.room(plan.cpus_per_worker, plan.gpu)
    step: Callable[[MeshPlan], Measured]
    if remote:
        import ray

        task = ray.remote(max_retries=0, num_cpus=plan.cpus_per_worker, num_gpus=int(plan.gpu))(
            measure
        )

        def step(plan: MeshPlan) -> Measured:
            found: Measured = ray.get(task.remote(config, run.guide_checkpoint, plan))
            return found
    else:

        def step(plan: MeshPlan) -> Measured:
            return measure(config, run.guide_checkpoint, plan, run.clips)

    parts = run.parts
    where = "a node of the cluster" if remote else "this machine"
    if plan.gpu and not remote and not torch.cuda.is_available():
        where += "'s CPU, no GPU being there now"
    return Estimate(
        plan=plan,
        clips=(len(parts.train), len(parts.val), len(parts.test)),
        batch=config.optim.batch,
        steps=-(-len(parts.train) // config.optim.batch),
        epochs=config.optim.epochs,
        measured=tuple(step(end) for end in plan.ends()),
        where=where,
        price=price,
    )


def measure(
    config: Phase1Config | Phase2Config, guide: str, plan: MeshPlan, clips: ClipSet | None = None
) -> Measured:
    """Times a few training steps in this process, as one of the plan's workers would do them."""
    clips = clips or load_clips(config.data.store)
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
        return Measured(seconds, parameters)
    from hhmnet_core.training.phase2 import fitting as phase2

    footage = load_footage(config.data.store)
    with ExitStack() as stack:
        seconds, number = phase2.measure_step_seconds(
            config,
            clips,
            footage,
            local_copy(guide, stack),
            device,
            data_parallel=plan.data_parallel,
        )
    return Measured(seconds, {VIDEO: number})
