"""The fields of KubeRay's RayCluster and RayJob, for tests.

The CRDs were not found in PyPI or npm, so this is not their schema: it holds the names, types and
enumerations that the `ray.io/v1` reference of KubeRay lists, and refuses every other. Pod templates
are checked by Kubernetes' own schema. `kubectl apply --dry-run=server`, where the operator is, has
the last word.
"""

from typing import Any

Schema = dict[str, Any]

STRING, INTEGER, NUMBER, BOOLEAN = (
    {"type": kind} for kind in ("string", "integer", "number", "boolean")
)
STRINGS = {"type": "object", "additionalProperties": STRING}
ANY: Schema = {}  # checked as a part of a Kubernetes object


def struct(required: tuple[str, ...] = (), **fields: Schema) -> Schema:
    """An object of these fields and no others."""
    return {
        "type": "object",
        "properties": fields,
        "required": list(required),
        "additionalProperties": False,
    }


def one_of(*values: str) -> Schema:
    return {"enum": list(values)}


def several(item: Schema) -> Schema:
    return {"type": "array", "items": item}


HEAD_GROUP = struct(
    ("rayStartParams", "template"),
    enableIngress=BOOLEAN,
    headService=ANY,
    labels=STRINGS,
    rayStartParams=STRINGS,
    resources=STRINGS,
    serviceType=one_of("ClusterIP", "NodePort", "LoadBalancer"),
    template=ANY,
)
WORKER_GROUP = struct(
    ("groupName", "rayStartParams", "template", "minReplicas", "maxReplicas"),
    groupName=STRING,
    idleTimeoutSeconds=INTEGER,
    labels=STRINGS,
    maxReplicas=INTEGER,
    minReplicas=INTEGER,
    numOfHosts=INTEGER,
    rayStartParams=STRINGS,
    replicas=INTEGER,
    resources=STRINGS,
    scaleStrategy=ANY,
    suspend=BOOLEAN,
    template=ANY,
)
AUTOSCALER = struct(
    env=several(ANY),
    envFrom=several(ANY),
    idleTimeoutSeconds=INTEGER,
    image=STRING,
    imagePullPolicy=one_of("Always", "IfNotPresent", "Never"),
    resources=ANY,
    securityContext=ANY,
    upscalingMode=one_of("Default", "Aggressive", "Conservative"),
    version=one_of("v1", "v2"),
    volumeMounts=several(ANY),
)
CLUSTER_SPEC = struct(
    ("headGroupSpec",),
    authOptions=struct(
        enableK8sTokenAuth=BOOLEAN, mode=one_of("disabled", "token"), secretName=STRING
    ),
    autoscalerOptions=AUTOSCALER,
    enableInTreeAutoscaling=BOOLEAN,
    gcsFaultToleranceOptions=ANY,
    headGroupSpec=HEAD_GROUP,
    headServiceAnnotations=STRINGS,
    managedBy=one_of("ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue"),
    rayVersion=STRING,
    suspend=BOOLEAN,
    workerGroupSpecs=several(WORKER_GROUP),
)
JOB_SPEC = struct(
    activeDeadlineSeconds=INTEGER,
    backoffLimit=INTEGER,
    clusterSelector=STRINGS,
    deletionStrategy=ANY,
    entrypoint=STRING,
    entrypointNumCpus=NUMBER,
    entrypointNumGpus=NUMBER,
    entrypointResources=STRING,
    jobId=STRING,
    managedBy=one_of("ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue"),
    metadata=STRINGS,
    preRunningDeadlineSeconds=INTEGER,
    rayClusterSpec=CLUSTER_SPEC,
    runtimeEnvYAML=STRING,
    shutdownAfterJobFinishes=BOOLEAN,
    submissionMode=one_of("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"),
    submitterConfig=struct(backoffLimit=INTEGER),
    submitterPodTemplate=ANY,
    suspend=BOOLEAN,
    ttlSecondsAfterFinished=INTEGER,
)


def resource(kind: str, spec: Schema) -> Schema:
    """A whole object of `ray.io/v1`."""
    return struct(
        ("apiVersion", "kind", "metadata", "spec"),
        apiVersion=one_of("ray.io/v1"),
        kind=one_of(kind),
        metadata=ANY,
        spec=spec,
    )


KUBERAY = {
    "RayCluster": resource("RayCluster", CLUSTER_SPEC),
    "RayJob": resource("RayJob", JOB_SPEC),
}
