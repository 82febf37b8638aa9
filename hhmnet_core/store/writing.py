"""The manifest of a clip store, written when its shards are complete."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder
from hhmnet_core.skeleton.layouts import LAYOUTS, Layout
from hhmnet_core.skeleton.own_layout import layout_fields
from hhmnet_core.store.manifest import SCHEMA_VERSION, Manifest, Protocol, Shard, Visual
from hhmnet_core.store.protocols import VAL, apply_protocol
from hhmnet_core.store.reading import MANIFEST

_OWN_FILES = re.compile(r"clips-\d{5,}\.(parquet|json)")


@dataclass(frozen=True)
class StoreDescription:
    """The description of a store beside its clips: see the fields of `Manifest`."""

    dataset: str
    layout: Layout
    class_names: tuple[str, ...]
    protocols: Mapping[str, Protocol]
    source: Mapping[str, str]
    visual: Visual | None = None
    subject_names: Mapping[int, str] = field(default_factory=dict)
    size_ratio: float = 1.0


def is_foreign(names: Iterable[str]) -> bool:
    """Return whether a folder with these files is neither empty nor a store, begun or complete."""
    shown = [name for name in names if not name.startswith(".")]
    return bool(shown) and not any(name == MANIFEST or _OWN_FILES.fullmatch(name) for name in shown)


def remove_manifest(folder: Folder) -> None:
    """Remove the manifest: until the new one is written, the folder is no store."""
    if MANIFEST in folder.names():
        folder.remove(MANIFEST)


def write_manifest(
    folder: Folder,
    description: StoreDescription,
    shards: tuple[Shard, ...],
    sample_ids: Sequence[str],
    groups: Mapping[str, Sequence[int]],
    left_out: Mapping[str, int],
) -> Manifest:
    """Write the manifest of complete shards, and remove files of older stores and notes.

    Args:
        folder: Folder of the store.
        description: Description of the store.
        shards: Its shards, in order.
        sample_ids: Ids of all clips, in order.
        groups: Subject, camera and setup of all clips.
        left_out: Number of things of the source that are not in the store, by kind.

    Raises InputError where there are no clips, or a sample id occurs twice.
    """
    if not shards:
        raise InputError(f"There are no clips to write to {folder.uri}: check the source.")
    if twice := [sample_id for sample_id, count in Counter(sample_ids).items() if count > 1]:
        raise InputError(f"Clip {twice[0]} occurs twice: sample ids must be unique.")
    facts = {name: np.array(values, dtype=np.int64) for name, values in groups.items()}
    protocols, layout = dict(description.protocols), description.layout
    splits = {name: apply_protocol(facts, rule, VAL) for name, rule in protocols.items()}
    draft = Manifest(
        schema_version=SCHEMA_VERSION,
        dataset=description.dataset,
        layout=layout.name,
        class_names=description.class_names,
        protocols=protocols,
        counts={
            name: {kind: len(getattr(split, kind)) for kind in ("train", "val", "test")}
            for name, split in splits.items()
        },
        shards=shards,
        digest="",
        source=dict(description.source),
        left_out=dict(left_out),
        visual=description.visual,
        own_layout=None if layout.name in LAYOUTS else layout_fields(layout),
        subject_names=dict(description.subject_names),
        size_ratio=description.size_ratio,
    )
    manifest = replace(draft, digest=draft.expected_digest())
    folder.write(MANIFEST, manifest.to_json().encode())
    kept = {shard.name for shard in shards}
    for name in folder.names():
        if _OWN_FILES.fullmatch(name) and name not in kept:  # of an older store, or a note
            folder.remove(name)
    return manifest
