"""The clip store: a folder of parquet shards and a manifest, at any fsspec URI.

`docs/data.md` gives the format in full.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from hhmnet_core.data.clips import Clip, ClipSet, Int64Array, check_clip
from hhmnet_core.data.manifest import SCHEMA_VERSION, Manifest, Protocol, Shard, parse_manifest
from hhmnet_core.data.nodecache import NodeCache
from hhmnet_core.data.protocols import divide
from hhmnet_core.data.shards import (
    decode_shard,
    encode_shard,
    read_shard,
    shard_facts,
    shard_version,
)
from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder, folder
from hhmnet_core.skeleton.layouts import get_layout

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
    "write_store",
]

MANIFEST = "manifest.json"
SHARD_BYTES = 64 << 20
Uri = str | os.PathLike[str]


def write_store(
    uri: Uri,
    clips: Iterable[Clip],
    *,
    dataset: str,
    layout: str,
    class_names: Sequence[str],
    protocols: Mapping[str, Protocol],
    source: Mapping[str, str],
    shard_bytes: int = SHARD_BYTES,
) -> Manifest:
    """Writes a store, one shard in memory at a time, the manifest last.

    What is there of an older or half-written store is replaced; until the new manifest is
    written, the folder is no store.

    Args:
        uri: The folder.
        clips: The clips, each checked; their order is the store's.
        dataset: The data set's name.
        layout: The skeleton layout's name.
        class_names: One for each label.
        protocols: By name; the first is the default.
        source: What the store is made from; equal to an older one's, nothing need be written.
        shard_bytes: Joints in a shard, before compression.

    Raises:
        InputError: A clip that cannot be trained on, a sample_id twice, no clips at all, or a
            place that cannot be written.
    """
    place = folder(uri)
    before = place.names()
    if MANIFEST in before:
        place.remove(MANIFEST)
    skeleton = get_layout(layout)
    facts: dict[str, list[int]] = {"subject": [], "camera": [], "setup": []}
    seen: set[str] = set()

    def checked() -> Iterator[Clip]:
        for clip in clips:
            check_clip(clip, skeleton, len(class_names))
            if clip.sample_id in seen:
                raise InputError(f"Clip {clip.sample_id} occurs twice: sample ids must be unique.")
            seen.add(clip.sample_id)
            for field, values in facts.items():
                values.append(getattr(clip, field))
            yield clip

    shards = tuple(
        _write_shard(place, f"clips-{number:05d}.parquet", group)
        for number, group in enumerate(_groups(checked(), shard_bytes))
    )
    if not shards:
        raise InputError(f"There are no clips to write to {uri}: check the source.")
    groups = {field: np.array(values, dtype=np.int64) for field, values in facts.items()}
    draft = Manifest(
        schema_version=SCHEMA_VERSION,
        dataset=dataset,
        layout=layout,
        class_names=tuple(class_names),
        protocols=dict(protocols),
        counts={name: _counts(groups, rule) for name, rule in protocols.items()},
        shards=shards,
        digest="",
        source=dict(source),
    )
    manifest = replace(draft, digest=draft.expected_digest())
    place.write(MANIFEST, manifest.to_json().encode())
    kept = {shard.name for shard in shards}
    for name in before:
        if name.startswith("clips-") and name.endswith(".parquet") and name not in kept:
            place.remove(name)
    return manifest


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
    get_layout(manifest.layout)
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

    The first process of a node to ask reads the store and writes `<cache>/<digest>.v1.arrow`; the
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


def _write_shard(place: Folder, name: str, clips: Sequence[Clip]) -> Shard:
    content = encode_shard(clips)
    place.write(name, content)
    return Shard(name, hashlib.sha256(content).hexdigest(), len(content), len(clips))


def _groups(clips: Iterable[Clip], most_bytes: int) -> Iterator[list[Clip]]:
    group: list[Clip] = []
    size = 0
    for clip in clips:
        if group and size + clip.joints.nbytes > most_bytes:
            yield group
            group, size = [], 0
        group.append(clip)
        size += clip.joints.nbytes
    if group:
        yield group


def _counts(groups: dict[str, Int64Array], rule: Protocol) -> dict[str, int]:
    parts = divide(groups, rule, carve=True)
    return {part: len(getattr(parts, part)) for part in ("train", "val", "test")}
