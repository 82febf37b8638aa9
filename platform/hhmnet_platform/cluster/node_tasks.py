"""Checks that run on a node: its disk, the store and the workspace."""

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import ray

from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder, folder
from hhmnet_core.store.node_cache import NodeCache
from hhmnet_core.store.reading import read_manifest

SECONDS_TO_APPEAR = 15.0  # a network file system may show a new file late
TEMPORARY_BYTES = 256 << 20  # checkpoints pass through the temporary folder
COPIES_WHILE_FILLING = 2  # copies of the clips in the node's cache
CONTENT = b"here"


def disk_problem(digest: str, clips_bytes: int) -> str:
    """Return a problem with this node's local folders, as text; "" for none.

    Args:
        digest: Digest of the store that will be cached.
        clips_bytes: Size of its clips in memory.
    """
    try:
        cache = NodeCache.at(None)
    except InputError as error:
        return str(error)
    cache_bytes = 0 if cache.holds(digest) else COPIES_WHILE_FILLING * clips_bytes
    for path, needed, way_out in (
        (Path(tempfile.gettempdir()), TEMPORARY_BYTES, "point TMPDIR elsewhere"),
        (cache.root, cache_bytes, "point HHMNET_CACHE elsewhere"),
    ):
        free = shutil.disk_usage(path).free
        if free < needed:
            return (
                f"{path} has {free / 1e6:.0f} MB free, but the run needs {needed / 1e6:.0f} MB "
                f"there: free some, or {way_out} before Ray is started on that node."
            )
    return ""


def store_problem(store: str, digest: str) -> str:
    """Return a problem with reading the store on this node, as text; "" for none."""
    try:
        seen = read_manifest(store).digest
    except InputError as error:
        return f"the store cannot be read there. {error}"
    if seen != digest:
        return f"{store} is another store there: put it on storage that all nodes share."
    return ""


def write_token(workspace: str, token: str) -> str:
    """Write this node's file to the workspace; return a problem as text, or ""."""
    try:
        folder(workspace).write(_own_file(token), CONTENT)
    except InputError as error:
        return f"it cannot write to the workspace. {error}"
    return ""


def unseen_tokens(workspace: str, token: str, node_ids: Sequence[str]) -> list[str]:
    """Return the nodes whose file this node does not see in the workspace, even after a while."""
    files = folder(workspace)
    deadline = time.monotonic() + SECONDS_TO_APPEAR
    unseen = list(node_ids)
    while True:
        unseen = [node_id for node_id in unseen if not _is_there(files, f"{token}-{node_id}")]
        if not unseen or time.monotonic() > deadline:
            return unseen
        time.sleep(0.5)


def remove_token(workspace: str, token: str) -> None:
    """Remove this node's file from the workspace, if it is there."""
    files = folder(workspace)
    if _is_there(files, _own_file(token)):
        files.remove(_own_file(token))


def _is_there(files: Folder, name: str) -> bool:
    # Opened by name: a listing of a network file system may be outdated.
    try:
        return files.read(name) == CONTENT
    except (FileNotFoundError, InputError):
        return False


def _own_file(token: str) -> str:
    return f"{token}-{ray.get_runtime_context().get_node_id()}"
