"""The size, duration and cost of a run, estimated before it starts."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.inputs.layout_mapping import load_training_clips
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.figures.progress import clock
from hhmnet_platform.presentation.labels import counted
from hhmnet_platform.runs.phase import StepMeasurement
from hhmnet_platform.runs.phases import PHASES
from hhmnet_platform.runs.run import Config, Run

START_SECONDS = 25  # Ray, the workers' imports, the process group; measured on two cores
EVALUATION_SHARE = 0.35  # share of a training step's time: the forward pass
COPIES_IN_CHECKPOINT = 5  # weights, their average, the best epoch's, two moments of AdamW
CHECKPOINTS_ON_DISK = 3  # two kept, one being written


@dataclass(frozen=True)
class Estimate:
    """The size, duration and cost of a run.

    Attributes:
        plan: The workers.
        clips: Number of clips in train, val and test.
        batch: Clips in a global batch.
        steps: Steps in an epoch.
        epochs: Epochs in the run.
        measured: A training step with the fewest and with the most workers, or with the only
            number of workers.
        where: Machine on which the steps were measured.
        price: Price of a worker for an hour. 0: unknown.
        views: Views in which each clip is scored.
    """

    plan: MeshPlan
    clips: tuple[int, int, int]
    batch: int
    steps: int
    epochs: int
    measured: tuple[StepMeasurement, ...]
    where: str
    price: float = 0.0
    views: int = 1

    @property
    def parameters(self) -> dict[str, int]:
        """Number of parameters of each network."""
        return self.measured[0].parameters

    def seconds(self, step_seconds: float) -> float:
        """Return the duration of the whole run for a duration of a step."""
        train, val, test = self.clips
        evaluated = (val * self.epochs + val + test) / max(1, train) * self.steps
        steps = self.steps * self.epochs + EVALUATION_SHARE * self.views * evaluated
        return START_SECONDS + steps * step_seconds

    @property
    def checkpoint_bytes(self) -> int:
        return 4 * COPIES_IN_CHECKPOINT * sum(self.parameters.values())

    def lines(self) -> list[str]:
        """Return the estimate as lines for the terminal."""
        millions = ", ".join(f"{name} {n / 1e6:.2f} M" for name, n in self.parameters.items())
        steps = self.steps * self.epochs
        disk = CHECKPOINTS_ON_DISK * self.checkpoint_bytes / 1e6
        lines = [
            f"parameters  {millions}",
            f"steps       {self.steps} per epoch, {steps} in {self.epochs} epochs",
            f"disk        about {disk:.0f} MB of checkpoints",
        ]
        for plan, measured in zip(self.plan.extremes(), self.measured, strict=True):
            seconds = self.seconds(measured.seconds)
            if self.plan.is_elastic:
                lines.append(f"with {plan.workers:<6} {plan}")
            lines += [
                share_line(self.batch, plan),
                f"time        about {clock(seconds)}, from {measured.seconds:.3f} s per step "
                f"measured on {self.where}, without communication",
            ]
            if self.price:
                lines.append(f"cost        {format_cost(plan.workers, seconds, self.price)}")
        return lines


def share_line(batch: int, plan: MeshPlan) -> str:
    """Return a line with the clips of a global batch, and a worker's share of them."""
    return f"batch       {batch} clips, {-(-batch // plan.data_parallel)} per worker"


def format_cost(workers: int, seconds: float, price: float) -> str:
    """Return a cost in the currency of the price of a worker for an hour."""
    hours = seconds / 3600
    return (
        f"about {workers * hours * price:.2f} ({counted(workers, 'worker')} for {hours:.2f} h "
        f"at {price:g} per hour each)"
    )


def data_lines(run: Run) -> list[str]:
    """Return lines with a run's data: data set, protocol, selection, clips, input and views."""
    config, manifest = run.config, run.clips.manifest
    data = config.data
    inputs = [f"input       {described_input(data)}"] if isinstance(data, DataConfig) else []
    if (views := views_of(config)) > 1:
        inputs.append(f"scoring     {views} views of each clip, their logits averaged")
    return [
        f"data        {manifest.dataset}, protocol {data.protocol}, selection {data.selection}",
        f"clips       {len(run.split.train)} train, {len(run.split.val)} val, "
        f"{len(run.split.test)} test",
        *inputs,
    ]


def views_of(config: Config) -> int:
    """Return the number of views in which each clip is scored."""
    return config.augment.views if isinstance(config, Phase1Config) else 1


def described_input(data: DataConfig) -> str:
    """Return in words what a network sees of a clip, and what is normalised away."""
    if data.normalise_axes:
        size = "each axis scaled to [-1, 1], so that neither size nor distance counts"
    elif data.normalise_size:
        size = "bones of mean length 1, so that body size does not count"
    else:
        size = "sizes as recorded"
    turned = f"turned by the {data.align_by}, so that the view does not count"
    view = turned if data.align else "no turn"
    spacing = ""
    if data.motion_share:
        spacing = f"spaced {data.motion_share:.0%} by motion, so that rests count less, "
    return f"{data.frames} frames a clip, {spacing}{size}, {view}"


def plan_lines(run: Run, plan: MeshPlan, resources: Resources) -> list[str]:
    """Return lines with the nodes and the mesh of a run, and notes on the run and on both."""
    lines = [f"nodes       {resources.list_nodes()}", f"mesh        {plan}"]
    room = resources.capacity(plan.cpus_per_worker, plan.gpu)
    if room < plan.sizes[0]:
        lines.append(
            f"note        room for {counted(room, 'worker')} now: the run waits until the cluster "
            "has grown"
        )
    elif room < plan.workers:
        lines.append(
            f"note        room for {counted(room, 'worker')} now: more start when nodes join"
        )
    if not resources.is_driver_on_head:
        lines.append(
            "note        this process is not on the head node: if its node is lost, the run ends"
        )
    return lines + [f"note        {note}" for note in run.notes]


def estimate(run: Run, plan: MeshPlan, resources: Resources, price: float = 0.0) -> Estimate:
    """Estimate a run from a few training steps, without starting it.

    On a cluster the steps are measured on one of its nodes, with a worker's resources, if there is
    room now; Ray must be connected in that case.

    Args:
        run: The run.
        plan: Its workers.
        resources: CPUs and GPUs of the machine or the cluster.
        price: Price of a worker for an hour. 0: unknown.
    """
    is_remote = bool(resources.is_cluster and resources.capacity(plan.cpus_per_worker, plan.gpu))
    measure = _remote_measurement(run, plan) if is_remote else _local_measurement(run)
    where = "a node of the cluster" if is_remote else "this machine"
    if plan.gpu and not is_remote and not torch.cuda.is_available():
        where += "'s CPU, as there is no GPU now"
    config, optim, split = run.config, run.config.optim, run.split
    return Estimate(
        plan=plan,
        clips=(len(split.train), len(split.val), len(split.test)),
        batch=optim.batch,
        steps=-(-len(split.train) // optim.batch),
        epochs=optim.epochs,
        measured=tuple(measure(end) for end in plan.extremes()),
        where=where,
        price=price,
        views=views_of(config),
    )


def measure_step(
    phase: str, config: Config, guide: str, plan: MeshPlan, clips: ClipSet | None = None
) -> StepMeasurement:
    """Time a few training steps in this process, as one of the plan's workers would do them.

    Args:
        phase: Name of the phase.
        config: Its config.
        guide: URI of the checkpoint that guides. "" for none.
        plan: The workers.
        clips: Clips of the config's store. None loads them.
    """
    device = torch.device("cuda" if plan.gpu and torch.cuda.is_available() else "cpu")
    torch.set_num_threads(plan.cpus_per_worker)
    clips = clips or load_training_clips(config.data)
    return PHASES[phase].measure_step(config, clips, guide, plan, device)


def _local_measurement(run: Run) -> Callable[[MeshPlan], StepMeasurement]:
    return lambda plan: measure_step(run.phase, run.config, run.guide_checkpoint, plan, run.clips)


def _remote_measurement(run: Run, plan: MeshPlan) -> Callable[[MeshPlan], StepMeasurement]:
    import ray

    task = ray.remote(max_retries=0, num_cpus=plan.cpus_per_worker, num_gpus=int(plan.gpu))(
        measure_step
    )

    def measure(plan: MeshPlan) -> StepMeasurement:
        reference = task.remote(run.phase, run.config, run.guide_checkpoint, plan)
        measured: StepMeasurement = ray.get(reference)
        return measured

    return measure
