"""Reading the clip store: a folder of parquet shards and a manifest, at any fsspec URI.

`docs/data.md` gives the format in full.
"""

import os
from collections.abc import Iterator

import numpy as np

from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder, folder
from hhmnet_core.store.clips import Clip, ClipSet, Int64Array
from hhmnet_core.store.manifest import Manifest, Protocol, Shard, parse_manifest
from hhmnet_core.store.node_cache import NodeCache
from hhmnet_core.store.shards import decode_shard, read_shard, shard_facts, shard_version

__all__ = [
    "MANIFEST",
    "Clip",
    "ClipSet",
    "Manifest",
    "Protocol",
    "Shard",
    "load_clips",
    "read_manifest",
    "store_facts",
    "verify_store",
]

MANIFEST = "manifest.json"
Uri = str | os.PathLike[str]


def read_manifest(uri: Uri) -> Manifest:
    """The manifest of the store at a URI. Raises InputError: no store there, or a spoilt one."""
    place = folder(uri)
    try:
        text = place.read(MANIFEST)
    except FileNotFoundError as error:
        raise InputError(
            f"There is no clip store at {uri} (no {MANIFEST}): check the address, or make one with "
            "experiments/prepare.py."
        ) from error
    manifest = parse_manifest(text, str(uri))
    _ = manifest.skeleton  # raises where it is unknown
    return manifest


def verify_store(uri: Uri) -> Manifest:
    """Reads every shard. Raises InputError that names a missing or damaged one."""
    manifest = read_manifest(uri)
    place = folder(uri)
    for shard in manifest.shards:
        read_shard(place, shard)
    return manifest


def store_facts(uri: Uri) -> dict[str, Int64Array]:
    """Every clip's `label`, `subject`, `camera`, `setup`, `num_frames` and `num_bodies`, (N,).

    Reads those columns alone, never the joints. Raises InputError: no store, or a shard that is
    missing or cannot be read.
    """
    manifest = read_manifest(uri)
    place = folder(uri)
    tables = [shard_facts(place, shard) for shard in manifest.shards]
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def load_clips(uri: Uri, cache: Uri | None = None) -> ClipSet:
    """The clips of a store, verified and mapped from one file a node.

    The first process of a node to ask reads the store and writes `<cache>/<digest>.v2.arrow`; the
    others wait for it and map the same file. Shards that changed since then are verified again,
    so that damage to the store is told even where a good copy is at hand.

    Args:
        uri: The store's folder.
        cache: A local folder; by default `$HHMNET_CACHE`, or `~/.cache/hhmnet`.

    Raises:
        InputError: No store, a spoilt manifest, a missing or damaged shard, a clip that cannot be
            trained on, or a cache that cannot be written.
    """
    manifest = read_manifest(uri)
    place = folder(uri)
    node = NodeCache.at(cache)
    with node.lock(manifest.digest):
        versions = {shard.name: shard_version(place, shard) for shard in manifest.shards}
        known = node.verified(manifest.digest, place)
        clips = node.map(manifest)
        if clips is None:
            node.fill(manifest, _verified_clips(place, manifest))
            clips = node.map(manifest)
            assert clips is not None
        else:
            for shard in manifest.shards:
                if known.get(shard.name) != versions[shard.name]:
                    read_shard(place, shard)
        if known != versions:
            node.note_verified(manifest.digest, place, versions)
        return clips


def _verified_clips(place: Folder, manifest: Manifest) -> Iterator[Clip]:
    for shard in manifest.shards:
        yield from decode_shard(read_shard(place, shard), shard, manifest, place.uri)
