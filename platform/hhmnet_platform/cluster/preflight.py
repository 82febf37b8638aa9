"""Before a run starts on several nodes: whether each of them can take part.

Every node is asked by Ray tasks: for what is installed there, for room on its disk, and whether
workspace and store are the same there as for the driver. What is wrong is one line that names the
node. A node that joins later is not asked; its worker still refuses another store.
"""

import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.store.node_cache import NodeCache
from hhmnet_core.store.reading import ClipSet, read_manifest
from hhmnet_platform.cluster import node_probe as probe
from hhmnet_platform.cluster.node_probe import Installed

PATIENCE_SECONDS = 180.0  # a node starts a process for its first task
SECONDS_TO_BE_SEEN = 15.0  # a network file system may be late
SPARE_BYTES = 256 << 20  # of the temporary folder: checkpoints pass through it
COPIES_WHILE_FILLING = 2  # of the clips, in the node's cache


def check_nodes(workspace: str, store: str, clips: ClipSet) -> None:
    """Raises InputError, naming the node, where one of several cannot take part in a run.

    Args:
        workspace: Absolute path or URI.
        store: Likewise.
        clips: Of that store, as the driver sees it.
    """
    nodes = _Nodes()
    if len(nodes.names) < 2:
        return
    digest = clips.manifest.digest
    cloudpickle.register_pickle_by_value(probe)
    try:
        check_installed(nodes.here, nodes.ask(probe.look))
    finally:
        cloudpickle.unregister_pickle_by_value(probe)
    check_answers(nodes.ask(check_disk, digest, clips.frames.nbytes))
    token = f".probe-{uuid.uuid4().hex[:12]}"
    try:
        check_answers(nodes.ask(_write, workspace, token))
        unseen = nodes.ask(_unseen, workspace, token, [*nodes.names])
        check_shared(workspace, nodes.here, nodes.names, unseen)
    finally:
        with suppress(InputError):
            nodes.ask(_remove, workspace, token)
    check_answers(nodes.ask(check_store, store, digest))


def check_installed(here: str, nodes: Mapping[str, Installed]) -> None:
    """Raises InputError where a node lacks the package, or has another than the driver's node.

    Args:
        here: The driver's node.
        nodes: What each node has.
    """
    for name, found in nodes.items():
        if found.missing:
            raise InputError(
                f"Node {name} cannot import {' and '.join(found.missing)} in {found.python}: "
                "install the package there as on the others, and start its Ray from there."
            )
    ours = nodes[here]
    for name, found in nodes.items():
        for what, version in found.versions.items():
            if version != ours.versions[what]:
                raise InputError(
                    f"Node {name} has {what} {version or '(none)'}, but node {here}, which starts "
                    f"the run, has {ours.versions[what] or '(none)'}: install the same versions on "
                    "all nodes."
                )
        if found.sources != ours.sources:
            raise InputError(
                f"Node {name} has other source files of the package ({found.sources}) than node "
                f"{here}, which starts the run ({ours.sources}): bring all nodes to one commit."
            )


def check_answers(answers: Mapping[str, str]) -> None:
    """Raises InputError for the first node that has something to say."""
    for name, trouble in answers.items():
        if trouble:
            raise InputError(f"Node {name}: {trouble}")


def check_shared(
    workspace: str, here: str, names: Mapping[str, str], unseen: Mapping[str, Sequence[str]]
) -> None:
    """Raises InputError where a node does not see what another one wrote.

    Args:
        workspace: Where they wrote.
        here: The driver's node: one that does not see what this one wrote is named first.
        names: The nodes' names by their ids.
        unseen: The ids of the nodes whose file a node, by its name, did not find.
    """
    ours = next(node for node, name in names.items() if name == here)
    for name, writers in sorted(unseen.items(), key=lambda item: ours not in item[1]):
        if writers:
            writer = names[ours if ours in writers else writers[0]]
            raise InputError(
                f"The workspace {workspace}: this path is not shared: node {name} cannot see what "
                f"node {writer} wrote. Give --workspace a folder that all nodes share, "
                "or a URI such as s3://..."
            )


def check_disk(digest: str, clips_bytes: int) -> str:
    """What is wrong with this node's local folders; "" for nothing."""
    try:
        cache = NodeCache.at(None)
    except InputError as error:
        return str(error)
    in_cache = 0 if cache.holds(digest) else COPIES_WHILE_FILLING * clips_bytes
    for path, needed, way_out in (
        (Path(tempfile.gettempdir()), SPARE_BYTES, "point TMPDIR elsewhere"),
        (cache.root, in_cache, "point HHMNET_CACHE elsewhere"),
    ):
        free = shutil.disk_usage(path).free
        if free < needed:
            return (
                f"{path} has {free / 1e6:.0f} MB free, but the run needs {needed / 1e6:.0f} MB "
                f"there: free some, or {way_out} before Ray is started on that node."
            )
    return ""


def check_store(store: str, digest: str) -> str:
    """What is wrong with the store as this node sees it; "" for nothing."""
    try:
        seen = read_manifest(store).digest
    except InputError as error:
        return f"the store cannot be read there. {error}"
    if seen != digest:
        return f"{store} is another store there: put it where all nodes see the same."
    return ""


class _Nodes:
    """The nodes that can be given work, and the driver's own."""

    def __init__(self) -> None:
        own = ray.get_runtime_context().get_node_id()
        self.names: dict[str, str] = {}  # by id
        for node in ray.nodes():
            resources = node["Resources"]
            takes_work = resources.get("CPU") or resources.get("GPU")
            if node["Alive"] and (takes_work or node["NodeID"] == own):
                name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
                if name in self.names.values():  # two on one machine
                    name += f" {node['NodeID'][:8]}"
                self.names[node["NodeID"]] = name
        self.here = self.names[own]

    def ask(self, question: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        """Each node's answer, by its name. Raises InputError where one gives none."""
        task = ray.remote(num_cpus=0)(question)
        asked = {}
        for node, name in self.names.items():
            there = NodeAffinitySchedulingStrategy(node, soft=False)
            asked[name] = task.options(scheduling_strategy=there).remote(*arguments)
        ends = time.monotonic() + PATIENCE_SECONDS
        answers = {}
        for name, answer in asked.items():
            try:
                answers[name] = ray.get(answer, timeout=max(0.0, ends - time.monotonic()))
            except GetTimeoutError:
                raise InputError(
                    f"Node {name} has not answered for {PATIENCE_SECONDS:.0f} s: see whether it is "
                    "overloaded, or take it out of the cluster."
                ) from None
            except RayError as error:
                said = " ".join(str(error).split())[-300:].rstrip(".")
                raise InputError(
                    f"Node {name} cannot run a task of Ray ({said}): see `df` there first, a full "
                    "disk does this, then its logs in /tmp/ray/session_latest/logs."
                ) from error
        return answers


def _write(workspace: str, token: str) -> str:
    try:
        folder(workspace).write(_own(token), b"here")
    except InputError as error:
        return f"it cannot write to the workspace. {error}"
    return ""


def _unseen(workspace: str, token: str, nodes: Sequence[str]) -> list[str]:
    """The nodes whose file this node does not find, even after a while."""
    place = folder(workspace)
    ends = time.monotonic() + SECONDS_TO_BE_SEEN
    unseen = list(nodes)
    while True:
        unseen = [node for node in unseen if not _is_there(place, f"{token}-{node}")]
        if not unseen or time.monotonic() > ends:
            return unseen
        time.sleep(0.5)


def _is_there(place: Any, name: str) -> bool:
    # Opened by name: a listing, on network file systems, may be an old one.
    try:
        return bool(place.read(name) == b"here")
    except (FileNotFoundError, InputError):
        return False


def _remove(workspace: str, token: str) -> None:
    place = folder(workspace)
    if _is_there(place, _own(token)):
        place.remove(_own(token))


def _own(token: str) -> str:
    return f"{token}-{ray.get_runtime_context().get_node_id()}"
