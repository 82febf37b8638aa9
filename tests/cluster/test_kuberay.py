"""The Kubernetes manifests: their fields, what they promise, and that a typing error shows."""

import copy
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from kuberay_schema import KUBERAY

from hhmnet_platform.cluster.resources import nodes_when_grown

FOLDER = Path(__file__).parents[2] / "cluster" / "kuberay"
KUBERNETES = "1.37"
Object = dict[str, Any]


def objects() -> dict[str, Object]:
    """`file/Kind/name` -> object, of all manifests."""
    return {
        f"{file.name}/{each['kind']}/{each['metadata']['name']}": each
        for file in sorted(FOLDER.glob("*.yaml"))
        for each in yaml.safe_load_all(file.read_text())
    }


OBJECTS = objects()


def cluster_spec(thing: Object) -> Object:
    """Of a RayCluster, or of a RayJob's."""
    spec: Object = thing["spec"]
    return spec["rayClusterSpec"] if thing["kind"] == "RayJob" else spec


def groups(thing: Object) -> Iterator[Object]:
    """The head's, then the workers'."""
    spec = cluster_spec(thing)
    yield spec["headGroupSpec"]
    yield from spec["workerGroupSpecs"]


def check(thing: Object) -> None:
    """Raises where a field is unknown, missing, or of the wrong kind."""
    thing = yaml.safe_load(yaml.safe_dump(thing))
    if thing["kind"] in KUBERAY:
        jsonschema.validate(thing, KUBERAY[thing["kind"]])
        metadata = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": thing["metadata"]}
        kubernetes_validate.validate(metadata, KUBERNETES, strict=True)
        for group in groups(thing):
            template = {
                "apiVersion": "v1",
                "kind": "PodTemplate",
                "metadata": {"name": "group"},
                "template": group["template"],
            }
            kubernetes_validate.validate(template, KUBERNETES, strict=True)
    else:
        kubernetes_validate.validate(thing, KUBERNETES, strict=True)


@pytest.mark.parametrize("name", OBJECTS)
def test_manifest_is_sound(name: str) -> None:
    check(OBJECTS[name])


def fields(thing: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every field of an object."""
    items = thing.items() if isinstance(thing, dict) else enumerate(thing)
    for key, value in items:
        if isinstance(thing, dict):
            yield (*path, key)
        if isinstance(value, dict | list):
            yield from fields(value, (*path, key))


# Free names: what stands below is the user's, and a typing error there cannot be seen.
FREE = {
    *("data", "labels", "annotations", "matchLabels", "nodeSelector", "rayStartParams"),
    *("requests", "limits"),
}
FREE_PATHS = {("kind",), ("apiVersion",), ("spec", "selector", "app")}


# A job's cluster is that of raycluster.yaml, which has its own turn.
@pytest.mark.parametrize("name", OBJECTS)
def test_typing_error_in_any_field_is_seen(name: str) -> None:
    unseen = []
    for path in fields(OBJECTS[name]):
        if FREE & set(path[:-1]) or path in FREE_PATHS or "rayClusterSpec" in path[:-1]:
            continue
        thing = copy.deepcopy(OBJECTS[name])
        parent: Any = thing
        for key in path[:-1]:
            parent = parent[key]
        parent[f"{path[-1]}x"] = parent.pop(path[-1])
        try:
            check(thing)
        except (jsonschema.ValidationError, kubernetes_validate.ValidationError, KeyError):
            continue
        unseen.append(path)
    assert unseen == []


RAY = [name for name, thing in OBJECTS.items() if thing["kind"] in KUBERAY]


@pytest.mark.parametrize("name", RAY)
def test_cluster_keeps_its_promises(name: str) -> None:
    spec = cluster_spec(OBJECTS[name])
    assert spec["rayVersion"] == version("ray")
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["enableInTreeAutoscaling"] and spec["autoscalerOptions"]["version"] == "v2"
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert [group["minReplicas"] for group in spec["workerGroupSpecs"]] == [0]
    for group in groups(OBJECTS[name]):
        pod = group["template"]["spec"]
        assert pod["restartPolicy"] == "Never"  # autoscaler v2 asks for it
        assert pod["securityContext"]["runAsNonRoot"]
        assert all(
            not each["securityContext"]["allowPrivilegeEscalation"] for each in pod["containers"]
        )


def test_job_and_cluster_are_of_the_same_make() -> None:
    job, cluster = (
        OBJECTS["rayjob.yaml/RayJob/hhmnet-phase1"],
        OBJECTS["raycluster.yaml/RayCluster/hhmnet"],
    )
    assert cluster_spec(job) == cluster_spec(cluster)
    assert job["spec"]["entrypoint"] == "python experiments/phase1.py"


def test_runs_are_told_what_the_cluster_grows_to(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = OBJECTS["settings.yaml/ConfigMap/hhmnet"]["data"]
    monkeypatch.setenv("HHMNET_NODES", settings["HHMNET_NODES"])
    grown = []
    for group in cluster_spec(OBJECTS["raycluster.yaml/RayCluster/hhmnet"])["workerGroupSpecs"]:
        (worker,) = group["template"]["spec"]["containers"]
        limits = worker["resources"]["limits"]
        grown += [(int(limits["cpu"]), int(limits["nvidia.com/gpu"]))] * group["maxReplicas"]
    assert list(nodes_when_grown()) == grown


def test_no_secret_is_in_a_file() -> None:
    for name, thing in OBJECTS.items():
        assert thing["kind"] != "Secret", name
        for container in containers(thing):
            for variable in container.get("env", []):
                if "PASSWORD" in variable["name"] or "KEY" in variable["name"]:
                    assert "secretKeyRef" in variable["valueFrom"], name


def containers(thing: Any) -> Iterator[Object]:
    if isinstance(thing, dict):
        yield from thing.get("containers", [])
        for value in thing.values():
            yield from containers(value)
    elif isinstance(thing, list):
        for value in thing:
            yield from containers(value)
