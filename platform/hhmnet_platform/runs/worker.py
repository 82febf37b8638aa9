"""What runs on the cluster: the training loop of each worker, and the courier beside it."""

import math
import os
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
import torch.distributed as dist
from ray.train import Checkpoint, UserCallback
from ray.train.torch import get_device
from ray.util.queue import Queue

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import write_scores
from hhmnet_core.inputs.footage import load_footage
from hhmnet_core.store.reading import ClipSet, load_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1 import fitting as phase1
from hhmnet_core.training.phase1.fitting import EpochReport, Phase1Config
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.runs.messages import (
    EpochsDone,
    Failed,
    FirstStep,
    LeavingSoon,
    SavedWithin,
    WorkerStarted,
)
from hhmnet_platform.runs.startup import Startup, process_began
from hhmnet_platform.storage.checkpoints import (
    TrainingPoint,
    checkpoint_name,
    parse_checkpoint_name,
)
from hhmnet_platform.storage.workspace import local_copy

IMPORTED = time.time()
# Between checkpoints while a node is about to be taken away, which may be at any time; one at once.
LEAVING_SECONDS = 15.0


@dataclass(frozen=True)
class Assignment:
    """What the workers are to do.

    Attributes:
        config: All that decides the result; `config.data.store` is absolute.
        guide: URI of the checkpoint that guides phase 2; "" in phase 1.
        digest: Of the store, as the driver saw it.
        plan: The layout.
        checkpoint_seconds: Of training after which a checkpoint is taken within an epoch; 0: none.
        announced: Whether nodes that will be taken away are announced.
        run: The run's name.
        run_uri: Its folder.
        start_from: The checkpoint there to start from where Ray knows of none; "" for none.
        outbox: Where messages to the driver go.
    """

    config: Phase1Config | Phase2Config
    guide: str
    digest: str
    plan: MeshPlan
    checkpoint_seconds: float
    announced: bool
    run: str
    run_uri: str
    start_from: str
    outbox: Queue


def train_worker(settings: Mapping[str, Any]) -> None:
    """The loop of one worker, under Ray Train."""
    startup = Startup(process_began())
    startup.mark("worker processes", startup.began)
    startup.mark("their imports", IMPORTED)
    startup.mark("process group")
    task: Assignment = settings["assignment"]
    context = ray.train.get_context()
    rank, workers = context.get_world_rank(), context.get_world_size()
    task.outbox.put(WorkerStarted(rank, workers, socket.gethostname(), os.getpid()))
    torch.set_num_threads(task.plan.cpus_per_worker)
    clips = load_clips(task.config.data.store)
    if clips.manifest.digest != task.digest:
        raise InputError(
            f"The store {task.config.data.store} is another one on {socket.gethostname()} than "
            "where the run was started: put it where all nodes see the same."
        )
    startup.mark("clips")
    device = get_device()
    mesh = Mesh(task.plan.split(workers), device, _nodes(workers))
    checkpoint = ray.train.get_checkpoint()
    with ExitStack() as stack:
        resume, saved = None, TrainingPoint()
        if checkpoint is not None:
            resume = Path(stack.enter_context(checkpoint.as_directory()))
            saved = parse_checkpoint_name(checkpoint.path)
        elif task.start_from:
            saved = parse_checkpoint_name(task.start_from)
            resume = local_copy(f"{task.run_uri}/{task.start_from}", stack)
        known, told = 0, rank != 0
        for report in _training(task, clips, mesh, device, resume, stack):
            point = TrainingPoint(report.epoch, report.steps)
            metrics = _message(report, known, task) if rank == 0 else {}
            known = len(report.history)
            if point > saved and not told:
                told = True
                startup.mark("model", time.time() - report.seconds)
                task.outbox.put(FirstStep(startup.ended))
            if point <= saved:
                # Trained before, only scored now: its checkpoint is in place.
                ray.train.report(metrics)
                continue
            with tempfile.TemporaryDirectory() as written:
                report.state.save(Path(written))
                ray.train.report(
                    metrics,
                    checkpoint=Checkpoint.from_directory(written),
                    checkpoint_dir_name=checkpoint_name(point),
                )


def _training(
    task: Assignment,
    clips: ClipSet,
    mesh: Mesh,
    device: torch.device,
    resume: Path | None,
    stack: ExitStack,
) -> Iterator[EpochReport]:
    """The generator of the phase."""
    patience = Patience(task) if task.checkpoint_seconds or task.announced else None
    if isinstance(task.config, Phase1Config):
        return phase1.fit(task.config, clips, mesh, device=device, resume=resume, patience=patience)
    # Not on top: its backbones' library takes seconds that phase 1 should not wait for.
    from hhmnet_core.training.phase2 import fitting as phase2

    footage = load_footage(task.config.data.store)
    guide = local_copy(task.guide, stack)
    return phase2.fit(
        task.config,
        clips,
        footage,
        guide,
        mesh,
        device=device,
        resume=resume,
        patience=patience,
    )


class Patience:
    """How many seconds of training may go unsaved: few where a node is about to be taken away."""

    def __init__(self, task: Assignment) -> None:
        self._task, self._told = task, False

    def __call__(self) -> float:
        """Asked on all workers at the same steps, as Ray needs it."""
        usual = self._task.checkpoint_seconds or math.inf
        leaving = ray.train.get_preemption_info() if self._task.announced else None
        if leaving is None:
            return usual
        if self._told:
            return min(usual, LEAVING_SECONDS)
        self._told = True
        if ray.train.get_context().get_world_rank() == 0:
            ends = leaving.deadline_ms
            left = None if ends is None else max(0.0, ends / 1000 - time.time())
            self._task.outbox.put(LeavingSoon(len(leaving.preempted_ranks), left))
        return 0.0


def _nodes(workers: int) -> list[str]:
    """The node of each worker, by rank."""
    nodes: list[Any] = [ray.get_runtime_context().get_node_id()] * workers
    if dist.is_initialized():
        dist.all_gather_object(nodes, nodes[0])
    return nodes


def _message(report: EpochReport, known: int, task: Assignment) -> dict[str, Any]:
    """Rank 0's report; it also writes the score tables, so that a last epoch always has them."""
    for table in report.scores:
        name = f"{table.modality}-{table.split}.parquet"
        write_scores(replace(table, run=task.run), f"{task.run_uri}/scores/{name}")
    records = [asdict(record) for record in report.history[known:]]
    return {"records": records, "epoch": report.epoch, "step": report.steps}


class ReportForwarder(UserCallback):
    """Takes from Ray's controller to the driver what all workers have safely reported."""

    def __init__(self, outbox: Queue) -> None:
        self.outbox = outbox

    def after_report(
        self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Checkpoint | None
    ) -> None:
        said = metrics[0]
        if said["records"] or not said["step"]:
            self.outbox.put(EpochsDone(said["records"]))
        if said["step"]:
            self.outbox.put(SavedWithin(said["epoch"], said["step"]))

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        for error in worker_exceptions.values():
            if isinstance(error, InputError):
                # Raised here it ends the run at once; on a worker alone it would be retried.
                raise error
        announced = any(was_announced(error) for error in worker_exceptions.values())
        self.outbox.put(Failed(describe(worker_exceptions), announced))


def was_announced(error: Exception) -> bool:
    """Whether a worker died because its node was taken away, as Ray knew that it would be."""
    cause = getattr(error, "health_check_failure", error)
    return bool(getattr(cause, "preempted", False))


def describe(worker_failures: Mapping[int, Exception]) -> str:
    """One line: the worker failure that most likely caused the others."""

    def is_consequence(error: Exception) -> bool:
        text = str(error)
        return "gloo" in text or "NCCL" in text or "Connection" in text

    rank, error = min(worker_failures.items(), key=lambda item: (is_consequence(item[1]), item[0]))
    text = str(error)
    if "OutOfMemory" in text or "out of memory" in text or "running low on memory" in text:
        return f"the node of worker {rank} ran out of memory"
    if "ActorDiedError" in text or "actor died" in text.lower() or "health check" in text:
        return f"the process of worker {rank} died"
    said = " ".join(text.split())[:300]
    return f"worker {rank}: {type(error).__name__}: {said}"
