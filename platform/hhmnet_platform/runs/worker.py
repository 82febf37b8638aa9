"""Code that runs on the cluster: the loop of a worker, and the forwarder of its reports."""

import math
import os
import socket
import tempfile
import time
from collections.abc import Mapping
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

from hhmnet_core.disk_space import disk_full_error, is_disk_full
from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import write_scores
from hhmnet_core.identity import JsonObject
from hhmnet_core.inputs.layout_mapping import load_training_clips
from hhmnet_core.notices import listening
from hhmnet_core.passwords import one_line
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.records import EpochRecord
from hhmnet_core.training.reports import EpochReport
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.runs.messages import (
    EpochsDone,
    Failed,
    FirstStep,
    LeavingSoon,
    NodesUsed,
    SavedWithin,
    WorkerStarted,
)
from hhmnet_platform.runs.node_usage import NodeUsage
from hhmnet_platform.runs.phase import TrainingInputs
from hhmnet_platform.runs.phases import PHASES
from hhmnet_platform.runs.run import Config
from hhmnet_platform.runs.startup import Startup, process_start_time
from hhmnet_platform.storage.checkpoints import (
    TrainingPoint,
    checkpoint_name,
    parse_checkpoint_name,
)
from hhmnet_platform.storage.scores import scores_file
from hhmnet_platform.storage.workspace import local_copy

IMPORTED = time.time()
# Seconds between checkpoints after the removal of a node was announced. One is taken at once.
LEAVING_SECONDS = 15.0


@dataclass(frozen=True)
class Assignment:
    """The task of the workers.

    Attributes:
        phase: Name of the phase.
        config: Config of the phase, with an absolute store URI.
        guide: URI of the checkpoint that guides. "" for none.
        digest: Digest of the store, as the driver read it.
        plan: The workers.
        checkpoint_seconds: Seconds of training between checkpoints within an epoch. 0: none.
        min_checkpoint_seconds: Seconds of training after a checkpoint in which the ends of epochs
            have none.
        announced: True where the removal of nodes is announced.
        run: Name of the run.
        run_uri: URI of its folder.
        start_from: Checkpoint in that folder to start from where Ray lists none. "" for none.
        system_metrics: Whether the use of the nodes is measured.
        outbox: Queue for messages to the driver.
    """

    phase: str
    config: Config
    guide: str
    digest: str
    plan: MeshPlan
    checkpoint_seconds: float
    min_checkpoint_seconds: float
    announced: bool
    run: str
    run_uri: str
    start_from: str
    system_metrics: bool
    outbox: Queue


def train_worker(settings: dict[str, Assignment]) -> None:
    """Run the loop of one worker, under Ray Train."""
    try:
        _train(settings["assignment"])
    except InputError:
        raise
    except Exception as error:
        if not is_disk_full(error):
            raise
        # Only this node knows its disks. Such an error ends the run: to start again does not help.
        raise disk_full_error(error, [settings["assignment"].run_uri]) from error


def _train(task: Assignment) -> None:
    startup = Startup(process_start_time())
    startup.mark("worker processes", startup.began)
    startup.mark("their imports", IMPORTED)
    startup.mark("process group")
    context = ray.train.get_context()
    rank, workers = context.get_world_rank(), context.get_world_size()
    task.outbox.put(WorkerStarted(rank, workers, socket.gethostname(), os.getpid()))
    torch.set_num_threads(task.plan.cpus_per_worker)
    with ExitStack() as stack:
        if rank == 0:
            stack.enter_context(listening(task.outbox.put))
        clips = _load_clips(task)
        startup.mark("clips")
        nodes = _node_of_each(workers)
        usage = None
        if task.system_metrics and nodes.index(nodes[rank]) == rank:
            usage = NodeUsage()
            stack.callback(usage.end)
        resume, saved = _checkpoint(task, stack)
        inputs = TrainingInputs(
            clips=clips,
            mesh=Mesh(task.plan.modality_parallel_at(workers), get_device(), nodes),
            device=get_device(),
            guide=task.guide,
            resume=resume,
            max_unsaved=UnsavedLimit(task) if task.checkpoint_seconds or task.announced else None,
            min_unsaved=task.min_checkpoint_seconds,
            stack=stack,
        )
        num_known, has_begun = 0, rank != 0
        for report in PHASES[task.phase].fit(task.config, inputs):
            point = TrainingPoint(report.epoch, report.steps)
            metrics = _report(report, num_known, task) if rank == 0 else {}
            if usage is not None:
                metrics["usage"] = {socket.gethostname(): usage.take()}
            num_known = len(report.history)
            if point > saved and not has_begun:
                has_begun = True
                startup.mark("model", time.time() - report.seconds)
                task.outbox.put(FirstStep(startup.ended))
            if point <= saved:
                # Trained before, only scored now: the checkpoint exists.
                ray.train.report(metrics)
                continue
            with tempfile.TemporaryDirectory() as written:
                report.state.save(Path(written))
                ray.train.report(
                    metrics,
                    checkpoint=Checkpoint.from_directory(written),
                    checkpoint_dir_name=checkpoint_name(point),
                )


class UnsavedLimit:
    """Limit on the seconds of unsaved training, lower once a node's removal is announced."""

    def __init__(self, task: Assignment) -> None:
        self._task, self._is_known = task, False

    def __call__(self) -> float:
        """Return the limit. Called on all workers at the same steps, as Ray requires."""
        usual = self._task.checkpoint_seconds or math.inf
        leaving = ray.train.get_preemption_info() if self._task.announced else None
        if leaving is None:
            return usual
        if self._is_known:
            return min(usual, LEAVING_SECONDS)
        self._is_known = True
        if ray.train.get_context().get_world_rank() == 0:
            ends = leaving.deadline_ms
            seconds = None if ends is None else max(0.0, ends / 1000 - time.time())
            self._task.outbox.put(LeavingSoon(len(leaving.preempted_ranks), seconds))
        return 0.0


def _load_clips(task: Assignment) -> ClipSet:
    clips = load_training_clips(task.config.data)
    if clips.manifest.digest != task.digest:
        raise InputError(
            f"The store {task.config.data.store} on {socket.gethostname()} is not the one on the "
            "node that started the run: put it on storage that all nodes share."
        )
    return clips


def _checkpoint(task: Assignment, stack: ExitStack) -> tuple[Path | None, TrainingPoint]:
    """Return a local copy of the checkpoint to resume from, and its progress."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is not None:
        local = Path(stack.enter_context(checkpoint.as_directory()))
        return local, parse_checkpoint_name(checkpoint.path)
    if task.start_from:
        local = local_copy(f"{task.run_uri}/{task.start_from}", stack)
        return local, parse_checkpoint_name(task.start_from)
    return None, TrainingPoint()


def _node_of_each(workers: int) -> list[str]:
    """Return the node of each worker, by rank."""
    nodes: list[Any] = [ray.get_runtime_context().get_node_id()] * workers
    if dist.is_initialized():
        dist.all_gather_object(nodes, nodes[0])
    return nodes


def _report(report: EpochReport, num_known: int, task: Assignment) -> JsonObject:
    """Return rank 0's report for Ray, and write the score tables, before the epoch is complete."""
    for table in report.scores:
        file = f"{task.run_uri}/{scores_file(table.modality, table.split)}"
        write_scores(replace(table, run=task.run), file)
    # Ray writes reports to its snapshot as JSON.
    records = [asdict(record) for record in report.history[num_known:]]
    return {"records": records, "epoch": report.epoch, "step": report.steps}


class ReportForwarder(UserCallback):
    """Forwards from Ray's controller to the driver what all workers have reported."""

    def __init__(self, outbox: Queue) -> None:
        self.outbox = outbox

    def after_report(
        self, run_context: Any, metrics: list[JsonObject], checkpoint: Checkpoint | None
    ) -> None:
        report = metrics[0]
        if report["records"] or not report["step"]:
            self.outbox.put(EpochsDone([EpochRecord(**each) for each in report["records"]]))
        usage = {host: used for each in metrics for host, used in each.get("usage", {}).items()}
        if usage:
            self.outbox.put(NodesUsed(report["epoch"], usage))
        if report["step"]:
            self.outbox.put(SavedWithin(report["epoch"], report["step"]))

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        for error in worker_exceptions.values():
            if isinstance(error, InputError):
                # Raised here it ends the run at once; on a worker alone it would be retried.
                raise error
        announced = any(was_announced(error) for error in worker_exceptions.values())
        self.outbox.put(Failed(describe_failures(worker_exceptions), announced))


def was_announced(error: Exception) -> bool:
    """Return whether a worker died because its node was removed, as had been announced to Ray."""
    cause = getattr(error, "health_check_failure", error)
    return bool(getattr(cause, "preempted", False))


def describe_failures(worker_failures: Mapping[int, Exception]) -> str:
    """Describe in one line the worker failure that most likely caused the others."""

    def is_consequence(error: Exception) -> bool:
        text = str(error)
        return "gloo" in text or "NCCL" in text or "Connection" in text

    rank, error = min(worker_failures.items(), key=lambda item: (is_consequence(item[1]), item[0]))
    text = str(error)
    if "OutOfMemory" in text or "out of memory" in text or "running low on memory" in text:
        return f"the node of worker {rank} ran out of memory"
    if "ActorDiedError" in text or "actor died" in text.lower() or "health check" in text:
        return f"the process of worker {rank} died"
    return f"worker {rank}: {type(error).__name__}: {one_line(text)[:300]}"
