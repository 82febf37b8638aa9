"""Checks of a cluster's nodes before a run starts on several of them.

Ray tasks check on each node the installed packages, the free disk space, and that workspace and
store are those of the driver. A problem is one line that names the node. A node that
joins later is not checked; its worker still refuses another store.
"""

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress

from ray import cloudpickle

from hhmnet_core.errors import InputError
from hhmnet_core.store.clips import ClipSet
from hhmnet_platform.cluster import node_probe
from hhmnet_platform.cluster.node_probe import Installation, inspect_installation
from hhmnet_platform.cluster.node_tasks import (
    disk_problem,
    remove_token,
    store_problem,
    unseen_tokens,
    write_token,
)
from hhmnet_platform.cluster.nodes import Nodes


def check_nodes(workspace: str, store: str, clips: ClipSet) -> None:
    """Raise InputError, naming the node, where one of several cannot take part in a run.

    Args:
        workspace: Absolute path or URI.
        store: Absolute path or URI.
        clips: Clips of the store, as the driver sees it.
    """
    nodes = Nodes()
    if len(nodes.names) < 2:
        return
    digest = clips.manifest.digest
    cloudpickle.register_pickle_by_value(node_probe)
    try:
        check_installations(nodes.driver, nodes.ask(inspect_installation))
    finally:
        cloudpickle.unregister_pickle_by_value(node_probe)
    check_problems(nodes.ask(disk_problem, digest, clips.frames.nbytes))
    token = f".probe-{uuid.uuid4().hex[:12]}"
    try:
        check_problems(nodes.ask(write_token, workspace, token))
        unseen = nodes.ask(unseen_tokens, workspace, token, [*nodes.names])
        check_shared(workspace, nodes.driver, nodes.names, unseen)
    finally:
        with suppress(InputError):
            nodes.ask(remove_token, workspace, token)
    check_problems(nodes.ask(store_problem, store, digest))


def check_installations(driver: str, installations: Mapping[str, Installation]) -> None:
    """Raise InputError where a node's package is missing or differs from the driver's node.

    Args:
        driver: Name of the driver's node.
        installations: Installation of each node, by its name.
    """
    for name, installation in installations.items():
        if installation.missing:
            raise InputError(
                f"Node {name} cannot import {' and '.join(installation.missing)} in "
                f"{installation.python}: install the package there as on the others, and start "
                "its Ray from there."
            )
    expected = installations[driver]
    for name, installation in installations.items():
        for package, version in installation.versions.items():
            if version != expected.versions[package]:
                raise InputError(
                    f"Node {name} has {package} {version or '(none)'}, but node {driver}, which "
                    f"starts the run, has {expected.versions[package] or '(none)'}: install the "
                    "same versions on all nodes."
                )
        if installation.sources != expected.sources:
            raise InputError(
                f"Node {name} has other source files of the package ({installation.sources}) than "
                f"node {driver}, which starts the run ({expected.sources}): bring all nodes to one "
                "commit."
            )


def check_problems(problems: Mapping[str, str]) -> None:
    """Raise InputError for the first node, by its name, with a problem that is not ""."""
    for name, problem in problems.items():
        if problem:
            raise InputError(f"Node {name}: {problem}")


def check_shared(
    workspace: str, driver: str, names: Mapping[str, str], unseen: Mapping[str, Sequence[str]]
) -> None:
    """Raise InputError where a node does not see what another one wrote.

    Args:
        workspace: Path or URI that all nodes wrote to.
        driver: Name of the driver's node: a node that misses its file is reported first.
        names: Names of the nodes by their ids.
        unseen: For each node, by its name, the ids of the nodes whose file it does not see.
    """
    driver_id = next(node_id for node_id, name in names.items() if name == driver)
    for name, writers in sorted(unseen.items(), key=lambda item: driver_id not in item[1]):
        if writers:
            writer = names[driver_id if driver_id in writers else writers[0]]
            raise InputError(
                f"The workspace {workspace}: this path is not shared: node {name} cannot see what "
                f"node {writer} wrote. Give --workspace a folder that all nodes share, "
                "or a URI such as s3://..."
            )
