"""The driver of a run: starts the workers, shows their progress, explains their failures."""

import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError
from ray.train import ControllerError, WorkerGroupError
from ray.train.torch import TorchTrainer
from ray.util.queue import Empty, Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hhmnet_core.disk_space import disk_full_error, is_disk_full
from hhmnet_core.errors import InputError
from hhmnet_core.notices import PassProgress, StepProgress
from hhmnet_core.passwords import one_line, without_password
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.cluster.loopback import torch_config
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.cluster.ray_environment import cluster_address
from hhmnet_platform.figures.progress import Display
from hhmnet_platform.presentation.labels import counted
from hhmnet_platform.runs.config import Placement
from hhmnet_platform.runs.estimate import format_cost
from hhmnet_platform.runs.messages import (
    EpochsDone,
    Failed,
    FirstStep,
    LeavingSoon,
    NodesUsed,
    Resizing,
    SavedWithin,
    TooFewNodes,
    WorkerStarted,
)
from hhmnet_platform.runs.run import Run
from hhmnet_platform.runs.startup import Startup
from hhmnet_platform.runs.worker import (
    Assignment,
    ReportForwarder,
    describe_failures,
    train_worker,
)
from hhmnet_platform.storage.checkpoints import (
    TrainingPoint,
    checkpoint_name,
    parse_checkpoint_name,
)
from hhmnet_platform.tracking.background import BackgroundTracker

if TYPE_CHECKING:  # mypy takes those of V1, which ray.train replaces when it is imported
    from ray.train.v2.api.config import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
else:
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig

PATIENCE_SECONDS = 60.0  # before a note that workers have not started
POLL_SECONDS = 0.5
# MLflow gets the steps within epochs that are longer than the first, one point in the second.
LONG_EPOCH_SECONDS, TRACK_SECONDS = 60.0, 30.0


class Training:
    """One run, from its last checkpoint to its last epoch."""

    def __init__(
        self,
        placement: Placement,
        run: Run,
        plan: MeshPlan,
        display: Display,
        tracker: BackgroundTracker,
        startup: Startup,
        on_epoch: Callable[[EpochRecord], None] | None = None,
    ) -> None:
        self.placement, self.run, self.plan = placement, run, plan
        self.max_failures = placement.max_failures
        self.display, self.tracker, self.startup = display, tracker, startup
        self.on_epoch = on_epoch
        self.history: list[EpochRecord] = []
        self.reached = TrainingPoint()
        self.failures = 0
        self.started: dict[int, WorkerStarted] = {}
        self.waiting_since = time.monotonic()
        self.tracked_at = float("-inf")
        self.were_up = False
        self.is_cost_shown = self.has_begun = False

    def fit(self) -> list[EpochRecord]:
        """Train to the last epoch and return the history."""
        start_from = self._recover()
        self.display.resumed(self.reached.epoch)
        if self.reached > TrainingPoint():
            self.display.say(f"resuming {self.reached}")
        self.display.phase(f"starting {self.plan}")
        outbox = _outbox()
        self._follow(self._trainer(outbox, start_from), outbox)
        self.run.folder.remove_unfinished_checkpoints()
        return self.history

    def _recover(self) -> str:
        """Make the folder usable after a crash.

        Returns the checkpoint to start from, "" where Ray resumes by itself or there is none.
        """
        folder = self.run.folder
        recovery = folder.recover()
        if recovery is None:
            self.reached = folder.latest_point()
        else:
            start = recovery.start_from
            self.display.say(
                f"{recovery.reason}; resuming from {start or 'the start: no checkpoint is whole'}."
            )
            self.reached = parse_checkpoint_name(start) if start else TrainingPoint()
        if self.reached > TrainingPoint():
            latest = checkpoint_name(self.reached)
            if folder.lacks_checksums(latest):
                self.display.say(
                    f"note: checkpoint {latest} is of an earlier version, without checksums: "
                    "changed bytes in it would go unnoticed."
                )
        return recovery.start_from if recovery else ""

    def _follow(self, trainer: TorchTrainer, outbox: Queue) -> None:
        """Run the trainer, and receive messages until it ends."""
        error: list[BaseException] = []

        def train() -> None:
            try:
                trainer.fit()
            except BaseException as raised:
                error.append(raised)

        # Off the main thread Ray leaves SIGINT alone, and Ctrl-C ends the run at once.
        thread = threading.Thread(target=train, name="train", daemon=True)
        thread.start()
        has_warned, self.waiting_since = False, time.monotonic()
        while True:
            is_running = thread.is_alive()
            try:
                self.receive(outbox.get(timeout=POLL_SECONDS))
                continue
            except Empty:
                if not is_running:
                    break
            except RayError as lost:  # the queue's process died, such as by lack of memory
                raise self._as_user_error(lost) from lost
            self.display.tick(self.reached.epoch)
            waited = time.monotonic() - self.waiting_since
            if not (has_warned or self.started) and waited > PATIENCE_SECONDS:
                has_warned = True
                self.display.say("still waiting for workers: other jobs may be using the cluster")
        if error:
            raise self._as_user_error(error[0]) from error[0]

    def _trainer(self, outbox: Queue, start_from: str) -> TorchTrainer:
        run, plan = self.run, self.plan
        resources = {"CPU": float(plan.cpus_per_worker)} | ({"GPU": 1.0} if plan.gpu else {})
        task = Assignment(
            phase=run.phase,
            config=run.config,
            guide=run.guide_checkpoint,
            digest=run.clips.manifest.digest,
            plan=plan,
            checkpoint_seconds=60 * self.placement.checkpoint_minutes,
            min_checkpoint_seconds=self.placement.min_checkpoint_seconds,
            announced=cluster_address() is not None,  # only a cluster announces it
            run=run.folder.name,
            run_uri=run.folder.uri,
            start_from=start_from,
            system_metrics=self.placement.system_metrics,
            outbox=outbox,
        )
        if not run.folder.name.isascii():  # which Ray's metrics, labelled by the name, must be
            os.environ["RAY_TRAIN_METRICS_ENABLED"] = "0"
        scaling = ScalingConfig(
            num_workers=(plan.sizes[0], plan.workers) if plan.is_elastic else plan.workers,
            use_gpu=plan.gpu,
            resources_per_worker=resources,
            elastic_resize_monitor_interval_s=60 * self.placement.resize_minutes,
        )
        start: Callable[..., TorchTrainer] = TorchTrainer
        if plan.is_elastic:
            from hhmnet_platform.runs.elastic import AtCheckpoints, ElasticTrainer

            policy = AtCheckpoints(scaling, plan, run.config.optim.epochs, outbox)
            start = partial(ElasticTrainer, policy)
        return start(
            train_worker,
            train_loop_config={"assignment": task},
            torch_config=torch_config(plan.gpu),
            scaling_config=scaling,
            run_config=RunConfig(
                name=run.folder.name,
                storage_path=run.folder.uri.rpartition("/")[0],
                failure_config=FailureConfig(
                    max_failures=self.max_failures,
                    max_preemption_failures=-1,  # removals are not failures of the run
                    # A checkpoint needs the files of all workers, those that leave included.
                    relax_collectives_on_preemption=False,
                ),
                checkpoint_config=CheckpointConfig(num_to_keep=2),
                callbacks=[ReportForwarder(outbox)],
            ),
        )

    def receive(self, message: Any) -> None:
        """Act on a message of a worker or of Ray's controller."""
        if isinstance(message, WorkerStarted):
            self._started(message)
        elif isinstance(message, FirstStep):
            if not self.has_begun:  # workers that are started again report it too
                self.has_begun = True
                self.startup.ended |= message.ended
                self.display.say(str(self.startup))
        elif isinstance(message, PassProgress | StepProgress):
            self._notice(message)
        elif isinstance(message, EpochsDone):
            self._epochs(message.records)
        elif isinstance(message, NodesUsed):
            self.tracker.add_usage(message.epoch, message.usage)
        elif isinstance(message, SavedWithin):
            point = TrainingPoint(message.epoch, message.step)
            if point > self.reached:
                self.reached = point
                self.display.say(f"checkpoint {point}")
        elif isinstance(message, LeavingSoon):
            soon = "soon" if message.seconds is None else f"in {message.seconds:.0f} s"
            self.display.say(
                f"a node with {message.workers} of the workers will be removed {soon}: checkpoints "
                "are taken more often"
            )
        elif isinstance(message, Resizing):
            self._expect_restart()
            self.display.phase(
                f"resuming {self.reached} with {counted(message.after, 'worker')} instead of "
                f"{message.before}"
            )
        elif isinstance(message, TooFewNodes):
            self.display.say(
                "waiting for nodes: there is room for fewer than "
                f"{counted(message.least, 'worker')}, the smallest number that the run may have"
            )
        elif isinstance(message, Failed):
            self._failed(message)

    def _notice(self, notice: PassProgress | StepProgress) -> None:
        self.display.notice(notice)
        if not isinstance(notice, StepProgress):
            return
        is_long = notice.step_seconds * notice.steps > LONG_EPOCH_SECONDS
        now = time.monotonic()
        if is_long and now - self.tracked_at >= TRACK_SECONDS:
            self.tracked_at = now
            self.tracker.add_steps(notice)

    def _started(self, message: WorkerStarted) -> None:
        if message.rank in self.started:
            # Ray does not report workers that were removed, or that died before all had started.
            self.were_up = len(self.started) == self.started[message.rank].workers
            self.started.clear()
        self.started[message.rank] = message
        if len(self.started) < message.workers:
            return
        if self.were_up:
            self.were_up = False
            self.display.resumed(self.reached.epoch)
            self.display.say(f"resuming {self.reached}")
        hosts = sorted({one.host for one in self.started.values()})
        by_rank = [one for _, one in sorted(self.started.items())]
        where, pids = hosts[0], ", ".join(str(one.pid) for one in by_rank)
        if len(hosts) > 1:
            where = f"{len(hosts)} nodes"
            pids = ", ".join(f"{one.host}:{one.pid}" for one in by_rank)
        mesh = self.plan.at_size(message.workers)
        if self.plan.is_elastic:
            self.display.say(str(mesh))
            self.run.folder.add_mesh(self.reached, mesh.data_parallel, mesh.modality_parallel)
        self.display.phase(f"training on {where} (worker processes {pids})")

    def _epochs(self, records: list[EpochRecord]) -> None:
        new = [record for record in records if record.epoch > len(self.history)]
        self.history += new
        for record in records:
            if TrainingPoint(record.epoch) > self.reached:
                self.reached = TrainingPoint(record.epoch)
                self.display.epoch(record)
                self._show_cost(record)
        self.tracker.update(list(self.history))
        if self.on_epoch:  # last: it may end the run
            for record in new:
                self.on_epoch(record)

    def _show_cost(self, record: EpochRecord) -> None:
        """Show the cost of the whole run, once, from the first epoch that was timed."""
        price = self.placement.price_per_worker_hour
        if price and self.started and not self.is_cost_shown:
            self.is_cost_shown = True
            seconds = record.seconds * self.run.config.optim.epochs
            self.display.say(
                f"cost        {format_cost(len(self.started), seconds, price)}, all epochs"
            )

    def _failed(self, message: Failed) -> None:
        if message.announced:
            if self.started:  # Ray reports it repeatedly
                self._expect_restart()
                self.display.phase(f"{message.cause}; resuming {self.reached}")
            return
        self.failures += 1
        self._expect_restart()
        if self.failures <= self.max_failures:
            self.display.phase(
                f"{message.cause}; starting again {self.reached} "
                f"({self.failures} of {self.max_failures} failures allowed)"
            )

    def _expect_restart(self) -> None:
        """Expect workers to be started again."""
        self.started.clear()
        self.waiting_since = time.monotonic()
        self.display.resumed(self.reached.epoch)

    def _as_user_error(self, error: BaseException) -> BaseException:
        """Return an error of one line, with the cause and the file of the whole traceback."""
        if isinstance(error, ControllerError):
            cause: BaseException = error.controller_failure
            reason = _described(cause)
        elif isinstance(error, WorkerGroupError):
            cause, reason = error, describe_failures(error.worker_failures)
        else:
            cause, reason = error, _described(error)
        if isinstance(cause, InputError):
            return cause
        if "Unable to set up cluster storage" in str(cause):
            return InputError(
                f"The workspace {self.run.folder.uri} is not the same folder on all nodes: give "
                "--workspace a path on a shared file system or a URI such as s3://..."
            )
        if is_disk_full(cause):
            return disk_full_error(cause, [self.run.folder.uri])
        files = self.run.folder.files
        try:
            files.write("error.log", without_password(f"{error}\n").encode())
            whole = f"The whole error: {files.uri}/error.log."
        except InputError as unwritten:
            whole = f"The whole error could not be kept: {unwritten}"
        return SystemExit(
            f"error: training failed, {reason}. {whole} The same command resumes from the last "
            "checkpoint."
        )


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {one_line(error)[:300]}"


def _outbox() -> Queue:
    """Return a queue for the workers' messages, on the driver's node."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})
