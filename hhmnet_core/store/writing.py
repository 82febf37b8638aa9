"""Writing a clip store: shards, and the manifest last."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder, folder
from hhmnet_core.skeleton.layouts import LAYOUTS, Layout, get_layout
from hhmnet_core.skeleton.own_layout import layout_fields
from hhmnet_core.store.clips import Clip, check_clip
from hhmnet_core.store.manifest import SCHEMA_VERSION, Manifest, Shard, Visual
from hhmnet_core.store.manifest import Protocol as SplitRule
from hhmnet_core.store.protocols import VAL, apply_protocol
from hhmnet_core.store.reading import MANIFEST, Uri
from hhmnet_core.store.shards import encode_shard

SHARD_BYTES = 64 << 20
_OURS = re.compile(r"clips-\d{5,}\.(parquet|json)")


@dataclass(frozen=True)
class StoreDescription:
    """The description of a store beside its clips: see the fields of `Manifest`."""

    dataset: str
    layout: Layout
    class_names: tuple[str, ...]
    protocols: Mapping[str, SplitRule]
    source: Mapping[str, str]
    visual: Visual | None = None


def remove_manifest(place: Folder) -> None:
    """Remove the manifest: until the new one is written, the folder is no store."""
    if MANIFEST in place.names():
        place.remove(MANIFEST)


def write_store(
    uri: Uri,
    clips: Iterable[Clip],
    *,
    dataset: str,
    layout: str,
    class_names: Sequence[str],
    protocols: Mapping[str, SplitRule],
    source: Mapping[str, str],
    shard_bytes: int = SHARD_BYTES,
) -> Manifest:
    """Write a store of given clips, with one shard in memory at a time.

    An older or incomplete store is replaced.

    Args:
        uri: Folder of the store.
        clips: Clips in the store's order. Each is checked.
        dataset: Name of the data set.
        layout: Name of the skeleton layout.
        class_names: Names of the classes, by label.
        protocols: Protocols by name. The first is the default.
        source: Source that the store is made from, by kind.
        shard_bytes: Bytes of joints in a shard, before compression.

    Raises:
        InputError: A clip that cannot be trained on, a sample_id twice, no clips at all, or a
            folder that cannot be written.
    """
    place = folder(uri)
    remove_manifest(place)
    about = StoreDescription(
        dataset, get_layout(layout), tuple(class_names), dict(protocols), dict(source)
    )
    sample_ids: list[str] = []
    groups = rule_fields([])

    def checked() -> Iterator[Clip]:
        for clip in clips:
            check_clip(clip, about.layout, len(class_names))
            sample_ids.append(clip.sample_id)
            for name, values in groups.items():
                values.append(getattr(clip, name))
            yield clip

    shards = tuple(
        write_shard(place, shard_name(number), group)
        for number, group in enumerate(_by_size(checked(), shard_bytes))
    )
    return write_manifest(place, about, shards, sample_ids, groups, {})


def write_manifest(
    place: Folder,
    about: StoreDescription,
    shards: tuple[Shard, ...],
    sample_ids: Sequence[str],
    groups: Mapping[str, Sequence[int]],
    left_out: Mapping[str, int],
) -> Manifest:
    """Write the manifest of complete shards, and remove files of older stores and notes.

    Args:
        place: Folder of the store.
        about: Description of the store.
        shards: Its shards, in order.
        sample_ids: Ids of all clips, in order.
        groups: Subject, camera and setup of all clips.
        left_out: Number of things of the source that are not in the store, by kind.

    Raises InputError where there are no clips, or a sample id occurs twice.
    """
    if not shards:
        raise InputError(f"There are no clips to write to {place.uri}: check the source.")
    if twice := [sample_id for sample_id, count in Counter(sample_ids).items() if count > 1]:
        raise InputError(f"Clip {twice[0]} occurs twice: sample ids must be unique.")
    facts = {name: np.array(values, dtype=np.int64) for name, values in groups.items()}
    splits = {name: apply_protocol(facts, rule, VAL) for name, rule in about.protocols.items()}
    draft = Manifest(
        schema_version=SCHEMA_VERSION,
        dataset=about.dataset,
        layout=about.layout.name,
        class_names=about.class_names,
        protocols=dict(about.protocols),
        counts={
            name: {kind: len(getattr(split, kind)) for kind in ("train", "val", "test")}
            for name, split in splits.items()
        },
        shards=shards,
        digest="",
        source=dict(about.source),
        left_out=dict(left_out),
        visual=about.visual,
        own_layout=None if about.layout.name in LAYOUTS else layout_fields(about.layout),
    )
    manifest = replace(draft, digest=draft.expected_digest())
    place.write(MANIFEST, manifest.to_json().encode())
    kept = {shard.name for shard in shards}
    for name in place.names():
        if _OURS.fullmatch(name) and name not in kept:  # of an older store, or a note
            place.remove(name)
    return manifest


def shard_name(number: int) -> str:
    """Return the name of a shard's file."""
    return f"clips-{number:05d}.parquet"


def rule_fields(clips: Sequence[Clip]) -> dict[str, list[int]]:
    """Return the values of clips for the fields of protocols' rules."""
    return {name: [getattr(c, name) for c in clips] for name in ("subject", "camera", "setup")}


def write_shard(place: Folder, name: str, clips: Sequence[Clip]) -> Shard:
    """Write the file of a shard, and return its entry for the manifest."""
    content = encode_shard(clips)
    place.write(name, content)
    return Shard(name, hashlib.sha256(content).hexdigest(), len(content), len(clips))


def _by_size(clips: Iterable[Clip], most_bytes: int) -> Iterator[list[Clip]]:
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
