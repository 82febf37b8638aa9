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
from hhmnet_core.store.protocols import VAL, divide
from hhmnet_core.store.reading import MANIFEST, Uri
from hhmnet_core.store.shards import encode_shard

SHARD_BYTES = 64 << 20
_OURS = re.compile(r"clips-\d{5,}\.(parquet|json)")


@dataclass(frozen=True)
class StoreDescription:
    """What a store says of itself beside its clips: see the fields of `Manifest`."""

    dataset: str
    layout: Layout
    class_names: tuple[str, ...]
    protocols: Mapping[str, SplitRule]
    source: Mapping[str, str]
    visual: Visual | None = None


def remove_manifest(place: Folder) -> None:
    """Takes the manifest away: until the new one is written, the folder is no store."""
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
    """Writes a store of clips that are at hand, one shard in memory at a time.

    What is there of an older or half-written store is replaced.

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
    remove_manifest(place)
    about = StoreDescription(
        dataset, get_layout(layout), tuple(class_names), dict(protocols), dict(source)
    )
    sample_ids: list[str] = []
    groups = groups_of([])

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
    if not shards:
        raise InputError(f"There are no clips to write to {place.uri}: check the source.")
    if twice := [sample_id for sample_id, count in Counter(sample_ids).items() if count > 1]:
        raise InputError(f"Clip {twice[0]} occurs twice: sample ids must be unique.")
    facts = {name: np.array(values, dtype=np.int64) for name, values in groups.items()}
    parts = {name: divide(facts, rule, VAL) for name, rule in about.protocols.items()}
    draft = Manifest(
        schema_version=SCHEMA_VERSION,
        dataset=about.dataset,
        layout=about.layout.name,
        class_names=about.class_names,
        protocols=dict(about.protocols),
        counts={
            name: {part: len(getattr(split, part)) for part in ("train", "val", "test")}
            for name, split in parts.items()
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
        if _OURS.fullmatch(name) and name not in kept:  # of an older store, and the notes
            place.remove(name)
    return manifest


def shard_name(number: int) -> str:
    return f"clips-{number:05d}.parquet"


def groups_of(clips: Sequence[Clip]) -> dict[str, list[int]]:
    return {name: [getattr(c, name) for c in clips] for name in ("subject", "camera", "setup")}


def write_shard(place: Folder, name: str, clips: Sequence[Clip]) -> Shard:
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
