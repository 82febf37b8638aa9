"""The driver's side of a run: starts the workers, passes on what they say, explains failures."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray.exceptions import RayError
from ray.train import (
    CheckpointConfig,
    ControllerError,
    FailureConfig,
    RunConfig,
    ScalingConfig,
    WorkerGroupError,
)
from ray.train.torch import TorchTrainer
from ray.util.queue import Empty, Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hhmnet_core.errors import InputError
from hhmnet_platform.cluster import Plan
from hhmnet_platform.job import Run
from hhmnet_platform.messages import EpochsDone, Failed, FirstStep, WorkerStarted
from hhmnet_platform.process_group import process_group
from hhmnet_platform.progress import Display
from hhmnet_platform.startup import Startup
from hhmnet_platform.tracking import Tracker
from hhmnet_platform.worker import Assignment, Courier, describe, train_worker
from hhmnet_platform.workspace import epoch_of

PATIENCE_SECONDS = 60.0


class Training:
    """One run, from its last checkpoint to its last epoch."""

    def __init__(
        self,
        max_failures: int,
        run: Run,
        plan: Plan,
        display: Display,
        tracker: Tracker,
        startup: Startup,
        on_epoch: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self.max_failures, self.run, self.plan = max_failures, run, plan
        self.display, self.tracker, self.startup = display, tracker, startup
        self.on_epoch = on_epoch
        self.history: list[dict[str, Any]] = []
        self.epochs_done = 0
        self.failures = 0
        self.started: list[Any] = []

    def fit(self) -> list[dict[str, Any]]:
        """Trains to the end and returns the history."""
        healed = self.run.folder.heal()
        if healed is not None:
            where = healed or "the start: no checkpoint is whole"
            self.display.say(
                f"The last checkpoint, or Ray's note of it, is damaged; going on from {where}."
            )
        self.epochs_done = epoch_of(healed) if healed else self.run.folder.epochs_saved()
        self.display.resumed(self.epochs_done)
        if self.epochs_done:
            self.display.say(f"resuming after epoch {self.epochs_done}")
        self.display.phase(f"starting {self.plan}")
        outbox = _outbox()
        trainer = self._trainer(outbox, healed or "")
        error: list[BaseException] = []

        def train() -> None:
            try:
                trainer.fit()
            except BaseException as raised:
                error.append(raised)

        # Off the main thread Ray leaves SIGINT alone, and Ctrl-C ends the run at once.
        thread = threading.Thread(target=train, name="train", daemon=True)
        thread.start()
        since, warned = time.monotonic(), False
        while True:
            running = thread.is_alive()
            try:
                self._receive(outbox.get(timeout=0.5))
                continue
            except Empty:
                if not running:
                    break
            except RayError as lost:  # the queue's process: a node out of memory takes any
                raise self._explained(lost) from lost
            self.display.tick(self.epochs_done)
            if not (warned or self.started) and time.monotonic() - since > PATIENCE_SECONDS:
                warned = True
                self.display.say("still waiting for workers: others may be using the cluster")
        if error:
            raise self._explained(error[0]) from error[0]
        return self.history

    def _trainer(self, outbox: Queue, start_from: str) -> TorchTrainer:
        run, plan = self.run, self.plan
        resources = {"CPU": float(plan.cpus_per_worker)} | ({"GPU": 1.0} if plan.gpu else {})
        task = Assignment(
            config=run.config,
            guide=run.guide_checkpoint,
            digest=run.clips.manifest.digest,
            plan=plan,
            run=run.folder.name,
            run_uri=run.folder.uri,
            start_from=start_from,
            outbox=outbox,
        )
        return TorchTrainer(
            train_worker,
            train_loop_config={"assignment": task},
            torch_config=process_group(plan.gpu),
            scaling_config=ScalingConfig(
                num_workers=plan.workers, use_gpu=plan.gpu, resources_per_worker=resources
            ),
            run_config=RunConfig(
                name=run.folder.name,
                storage_path=run.folder.uri.rpartition("/")[0],
                failure_config=FailureConfig(max_failures=self.max_failures),
                checkpoint_config=CheckpointConfig(num_to_keep=2),
                callbacks=[Courier(outbox)],  # type: ignore[list-item]  # Ray names the V1 base
            ),
        )

    def _receive(self, message: Any) -> None:
        if isinstance(message, WorkerStarted):
            self.started.append(message)
            if len(self.started) == self.plan.workers:
                hosts = sorted({one.host for one in self.started})
                by_rank = sorted(self.started, key=lambda worker: worker.rank)
                where, pids = hosts[0], ", ".join(str(worker.pid) for worker in by_rank)
                if len(hosts) > 1:
                    where = f"{len(hosts)} nodes"
                    pids = ", ".join(f"{worker.host}:{worker.pid}" for worker in by_rank)
                self.display.phase(f"training on {where} (worker processes {pids})")
        elif isinstance(message, FirstStep):
            if not self.failures:  # else it says how long training went well
                self.startup.ended |= message.ended
                self.display.say(str(self.startup))
        elif isinstance(message, EpochsDone):
            for record in message.records:
                if record["epoch"] > len(self.history):
                    self.history.append(record)
                    if self.on_epoch:
                        self.on_epoch(record)
                if record["epoch"] > self.epochs_done:
                    self.epochs_done = record["epoch"]
                    self.display.epoch(record)
            self.tracker.update(list(self.history))
        elif isinstance(message, Failed):
            self.failures += 1
            self.started.clear()
            self.display.resumed(self.epochs_done)
            if self.failures <= self.max_failures:
                self.display.phase(
                    f"{message.cause}; starting again after epoch {self.epochs_done} "
                    f"({self.failures} of {self.max_failures} failures allowed)"
                )

    def _explained(self, error: BaseException) -> BaseException:
        """One line for the user: what went wrong, and where the whole story is."""
        if isinstance(error, ControllerError):
            cause: BaseException = error.controller_failure
            said = f"{type(cause).__name__}: {' '.join(str(cause).split())[:300]}"
        elif isinstance(error, WorkerGroupError):
            cause, said = error, describe(error.worker_failures)
        else:
            cause = error
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        if isinstance(cause, InputError):
            return cause
        if "Unable to set up cluster storage" in str(cause):
            return InputError(
                f"The workspace {self.run.folder.uri} is not the same folder on all nodes: give "
                "--workspace a path on a shared file system or a URI such as s3://..."
            )
        self.run.folder.place.write("error.log", f"{error}\n".encode())
        return SystemExit(
            f"error: training failed, {said}. All of it: {self.run.folder.uri}/error.log. "
            "The same command goes on from the last checkpoint."
        )


def _outbox() -> Queue:
    """A queue on the driver's node, of the workers' messages."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})
