"""Worker counts that follow the cluster: Ray Train's elastic policy, for meshes and checkpoints.

Ray's own policy takes any number between the smallest and the largest, and changes it at any
moment, which loses the training since the last checkpoint. This one takes only numbers that form a
mesh, and changes the number only when a checkpoint has just been committed.
"""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ray
from ray.exceptions import RayError
from ray.train.torch import TorchTrainer
from ray.util.queue import Queue

from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.cluster.ray_private.elastic import (
    AUTOSCALING_REQUESTS_GET_TIMEOUT_S,
    ElasticScalingPolicy,
    NoopDecision,
    ResizeDecision,
    ScalingDecision,
    WorkerGroupPollStatus,
    WorkerGroupState,
    leaving_nodes,
)
from hhmnet_platform.runs.messages import Resizing, TooFewNodes

LOOK_SECONDS = 1.0  # between two checks of the cluster while there are too few nodes
ANSWER_SECONDS = 3.0  # for a node's raylet to accept a connection


class AtCheckpoints(ElasticScalingPolicy):
    """A policy for Ray's controller to choose the number of workers.

    Args:
        scaling_config: Ray's config, with the minimum time between two changes.
        plan: The possible numbers of workers.
        epochs: Epochs of the run. After the last one nothing is changed.
        outbox: Queue for messages to the driver.
    """

    def __init__(self, scaling_config: Any, plan: MeshPlan, epochs: int, outbox: Queue) -> None:
        super().__init__(scaling_config)
        self.plan, self.epochs, self.outbox = plan, epochs, outbox
        self._waits = self._starts = False
        self._possible: int | None = None
        self._group = float("-inf")  # when the present workers were started
        self._reports: dict[int, int] = {}
        self._committed = 0
        self._epoch = 0

    def make_decision_for_non_running_worker_group(self) -> ScalingDecision:
        self._starts, self._possible = True, None
        decision = super().make_decision_for_non_running_worker_group()
        self._starts = False
        too_few = self._possible == 0  # None: the cluster could not be asked
        if too_few and not self._waits:
            self.outbox.put(TooFewNodes(self.plan.sizes[0]))
        self._waits = too_few
        if isinstance(decision, NoopDecision):
            time.sleep(LOOK_SECONDS)  # Ray asks again at once
        return decision

    def make_decision_for_running_worker_group(
        self, worker_group_state: WorkerGroupState, worker_group_status: WorkerGroupPollStatus
    ) -> ScalingDecision:
        if not self._has_just_saved(worker_group_state, worker_group_status):
            # Otherwise the run's request expires in Ray's coordinator.
            self._maybe_send_resource_request()  # type: ignore[no-untyped-call]
            return NoopDecision()
        decision = super().make_decision_for_running_worker_group(
            worker_group_state, worker_group_status
        )
        if isinstance(decision, ResizeDecision):
            self.outbox.put(Resizing(worker_group_state.num_workers, decision.num_workers))
        return decision

    def _has_just_saved(self, state: WorkerGroupState, status: WorkerGroupPollStatus) -> bool:
        """Return whether the last missing report of a checkpoint arrived with this status.

        Ray's controller commits a checkpoint once it has the reports of all workers, before it
        calls this policy.
        """
        if state.start_time != self._group:
            self._group, self._committed = state.start_time, 0
            self._reports = dict.fromkeys(status.worker_statuses, 0)
        for rank, worker in status.worker_statuses.items():
            if worker.training_report is not None:
                self._reports[rank] += 1
                self._epoch = max(self._epoch, worker.training_report.metrics.get("epoch", 0))
        before, self._committed = self._committed, min(self._reports.values())
        return self._committed > before and self._epoch < self.epochs

    def _count_possible_workers(self, reserved_resources: Any) -> int:
        self._possible = self.plan.largest_size_within(
            super()._count_possible_workers(reserved_resources)
        )
        return self._possible

    def _get_reserved_resources(self) -> Any:
        """Return the resources reserved for the run by node, without leaving and dead nodes.

        Ray caches them for up to 20 seconds, and lists a dead node as alive for some seconds; the
        run would wait a minute for workers on it. So a connection to each node is tried.
        """
        try:
            reserved = ray.get(
                self._autoscaling_coordinator.get_reserved_resources.remote(
                    self._requester_id, recompute=True
                ),
                timeout=AUTOSCALING_REQUESTS_GET_TIMEOUT_S,
            )
            leaving = leaving_nodes()
        except RayError:
            return None  # no change; Ray asks again
        staying = {node: held for node, held in reserved.items() if node not in leaving}
        if not self._starts:
            return staying
        nodes = [node for node in ray.nodes() if node["NodeID"] in staying]
        with ThreadPoolExecutor(max(1, len(nodes))) as at_once:
            up = dict(zip((n["NodeID"] for n in nodes), at_once.map(answers, nodes), strict=True))
        return {node: held for node, held in staying.items() if up.get(node)}


def answers(node: Any) -> bool:
    """Return whether the raylet of a node, as in `ray.nodes()`, accepts connections."""
    address = (node["NodeManagerAddress"], node["NodeManagerPort"])
    try:
        socket.create_connection(address, timeout=ANSWER_SECONDS).close()
    except OSError:
        return False
    return True


class ElasticTrainer(TorchTrainer):
    """A TorchTrainer with a given policy for the number of workers.

    Ray chooses a policy when training starts, and passes it to its controller here.

    Args:
        policy: The policy.
        arguments: Those of a TorchTrainer.
        settings: Those of a TorchTrainer by name.
    """

    def __init__(self, policy: AtCheckpoints, *arguments: Any, **settings: Any) -> None:
        self.policy = policy
        super().__init__(*arguments, **settings)

    def _initialize_and_run_controller(self, **settings: Any) -> Any:
        settings["scaling_policy"] = self.policy
        return super()._initialize_and_run_controller(**settings)  # type: ignore[misc]
