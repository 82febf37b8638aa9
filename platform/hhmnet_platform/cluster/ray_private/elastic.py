"""Ray Train's policy for the number of workers, and the nodes that are about to leave."""

import ray
from ray.train.v2._internal.execution.scaling_policy import (
    AUTOSCALING_REQUESTS_GET_TIMEOUT_S,
    ElasticScalingPolicy,
    NoopDecision,
    ResizeDecision,
    ScalingDecision,
)
from ray.train.v2._internal.execution.worker_group import (
    WorkerGroupPollStatus,
    WorkerGroupState,
)

__all__ = [
    "AUTOSCALING_REQUESTS_GET_TIMEOUT_S",
    "ElasticScalingPolicy",
    "NoopDecision",
    "ResizeDecision",
    "ScalingDecision",
    "WorkerGroupPollStatus",
    "WorkerGroupState",
    "leaving_nodes",
]


def leaving_nodes() -> set[str]:
    """Return the ids of the nodes whose removal was announced."""
    return set(ray._private.state.state.get_draining_nodes())
