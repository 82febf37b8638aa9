"""Reading the clip store: a folder of parquet shards and a manifest, at any fsspec URI.

`docs/data.md` gives the format in full.
"""

import os
from collections.abc import Iterator

import numpy as np

from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder, folder
from hhmnet_core.notices import watched
from hhmnet_core.store.clips import Clip, ClipSet, Int64Array
from hhmnet_core.store.manifest import Manifest, parse_manifest
from hhmnet_core.store.node_cache import NodeCache
from hhmnet_core.store.shards import decode_shard, read_shard, shard_facts, shard_version

MANIFEST = "manifest.json"
Uri = str | os.PathLike[str]


def read_manifest(uri: Uri) -> Manifest:
    """Return the manifest of a store. Raises InputError for no store, or a malformed one."""
    store = folder(uri)
    try:
        text = store.read(MANIFEST)
    except FileNotFoundError as error:
        raise InputError(
            f"There is no clip store at {uri} (no {MANIFEST}): check the address, or make one with "
            "`hhmnet prepare`."
        ) from error
    manifest = parse_manifest(text, str(uri))
    _ = manifest.skeleton  # raises for an unknown layout
    return manifest


def verify_store(uri: Uri) -> Manifest:
    """Read every shard. Raises InputError that names a missing or damaged one."""
    manifest = read_manifest(uri)
    store = folder(uri)
    for shard in manifest.shards:
        read_shard(store, shard)
    return manifest


def store_facts(uri: Uri) -> dict[str, Int64Array]:
    """Return `label`, `subject`, `camera`, `setup`, `num_frames`, `num_bodies` of all clips, (N,).

    Reads no joints. Raises InputError for no store, or a shard that is missing or unreadable.
    """
    manifest = read_manifest(uri)
    store = folder(uri)
    tables = [shard_facts(store, shard) for shard in manifest.shards]
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def load_clips(uri: Uri, cache: Uri | None = None) -> ClipSet:
    """Return the clips of a store, verified and mapped from one file per node.

    The first process of a node reads the store and writes `<cache>/<digest>.v2.arrow`; the others
    wait for it and map the same file. Shards that changed since then are verified again, so that
    damage to the store is reported even where the cached file is sound.

    Args:
        uri: Folder of the store.
        cache: A local folder. Default: $HHMNET_CACHE, or `~/.cache/hhmnet`.

    Raises:
        InputError: No store, a malformed manifest, a missing or damaged shard, a clip that cannot
            be trained on, or a cache that cannot be written.
    """
    manifest = read_manifest(uri)
    store = folder(uri)
    node = NodeCache.at(cache)
    with node.lock(manifest.digest):
        versions = {shard.name: shard_version(store, shard) for shard in manifest.shards}
        known = node.verified_versions(manifest.digest, store)
        clips = node.map(manifest)
        if clips is None:
            read = _verified_clips(store, manifest)
            node.fill(manifest, watched(read, f"reading {store.uri}", manifest.num_clips))
            clips = node.map(manifest)
            assert clips is not None
        else:
            for shard in manifest.shards:
                if known.get(shard.name) != versions[shard.name]:
                    read_shard(store, shard)
        if known != versions:
            node.record_versions(manifest.digest, store, versions)
        return clips


def _verified_clips(store: Folder, manifest: Manifest) -> Iterator[Clip]:
    for shard in manifest.shards:
        yield from decode_shard(read_shard(store, shard), shard, manifest, store.uri)
