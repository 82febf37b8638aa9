"""All that is used of Ray beyond its public interface, as of Ray 2.60.

Modules are imported only where their names are used: a run with a fixed number of workers on this
machine needs `tokens` alone. Where another minor version of Ray is installed, a test fails and
prints `REASONS`: look each name up in Ray's source, and whether it has become public.
"""

VERSION = "2.60"

# The resource by which Ray marks the head node; none of its labels does.
HEAD = "node:__internal_head__"

_POLICIES = "ray.train.v2._internal.execution.scaling_policy"
_POLICY = f"{_POLICIES}.ElasticScalingPolicy"
_GROUP = "ray.train.v2._internal.execution.worker_group"
_DECISION = "Decision of that policy."
_ARGUMENT = "Argument of that policy."

# Name -> what it is used for, and why nothing public takes its place.
REASONS = {
    "ray._common.constants.HEAD_NODE_RESOURCE_NAME": "HEAD, which keeps trials' drivers on the "
    "head node.",
    "ray.init(_temp_dir)": "Session folder of a local Ray, closed to other users. Only `ray start` "
    "has a public option.",
    "ray._raylet.AuthenticationTokenLoader": "Makes Ray, which keeps the token that it read, read "
    "it again for the next session of a process.",
    "ray._private.authentication.authentication_utils.is_token_auth_enabled": "Whether this Ray "
    "uses a token. RAY_AUTH_MODE does not decide it alone.",
    "ray._private.services.canonicalize_bootstrap_address": "Address that 'auto' stands for, tried "
    "first: ray.init() tries for minutes where no cluster is left.",
    "ray._raylet.GcsClient": "Whether a cluster accepts the token: ray.init() tries for half a "
    "minute.",
    _POLICY: "Number of workers of an elastic run. Ray Train has no public policy.",
    f"{_POLICY}._count_possible_workers": "Overridden: only numbers that form a mesh.",
    f"{_POLICY}._get_reserved_resources": "Overridden: not on nodes that leave or are dead.",
    f"{_POLICY}._autoscaling_coordinator": "Asked for what is reserved now; Ray asks every 20 s.",
    f"{_POLICY}._requester_id": "Name of the run there.",
    f"{_POLICY}._maybe_send_resource_request": "Renews the run's request between two decisions.",
    f"{_POLICIES}.NoopDecision": _DECISION,
    f"{_POLICIES}.ResizeDecision": _DECISION,
    f"{_POLICIES}.ScalingDecision": _DECISION,
    f"{_POLICIES}.AUTOSCALING_REQUESTS_GET_TIMEOUT_S": "Seconds that Ray itself waits there.",
    f"{_GROUP}.WorkerGroupState": _ARGUMENT,
    f"{_GROUP}.WorkerGroupPollStatus": _ARGUMENT,
    "ray.train.torch.TorchTrainer._initialize_and_run_controller": "Overridden: gives the policy "
    "to Ray's controller. A trainer has no argument for it.",
    "ray._private.state.state.get_draining_nodes": "Nodes whose removal was announced. ray.nodes() "
    "lists them as alive.",
    "ray.serve._private.replica.add_port_to_grpc_server": "Replaced: Serve opens a replica's gRPC "
    "server on all interfaces, without an option.",
    "ray.tune.search.optuna.OptunaSearch._ot_trials": "Optuna's trial by Tune's id, which Optuna "
    "does not know.",
}
