"""Makes clip stores: source -> store -> summary."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from hhmnet_core.data.clips import Clip
from hhmnet_core.data.manifest import Manifest, Protocol
from hhmnet_core.data.store import (
    MANIFEST,
    read_manifest,
    store_facts,
    verify_store,
    write_store,
)
from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.sources import nw_ucla, synthetic


@dataclass(frozen=True)
class Recipe:
    """How a store is made.

    Attributes:
        dataset, layout, class_names, protocols, source: As in the store's manifest.
        num_clips: How many there will be.
        clips: Yields them.
        note: What the user should know of the source; "" for nothing.
    """

    dataset: str
    layout: str
    class_names: tuple[str, ...]
    protocols: Mapping[str, Protocol]
    source: dict[str, str]
    num_clips: int
    clips: Callable[[], Iterator[Clip]]
    note: str = ""


@dataclass(frozen=True)
class Prepared:
    """A store that is there now.

    Attributes:
        store: Its URI.
        manifest: What it holds.
        seconds: It took to write or to verify.
        written: False where it was there already, made from the same, and whole.
        note: What the user should know of the source; "" for nothing.
    """

    store: str
    manifest: Manifest
    seconds: float
    written: bool
    note: str


def prepare_nw_ucla(source: str, store: str, overwrite: bool = False) -> Prepared:
    """Northwestern-UCLA: 10 actions seen by 3 cameras, skeletons of 20 joints.

    Args:
        source: The zip of the skeletons (all_sqe/aAA_sSS_eEE_vVV.json), or the folder of its
            files.
        store: Where the clip store goes: a folder, or a URI such as s3://bucket/folder.
        overwrite: Replace what another source has put there, or a damaged store.

    Raises:
        InputError: The source is missing, damaged or something else, or the store is in use by
            another source, damaged, or cannot be written.
    """
    with nw_ucla.Recordings(source) as recordings:
        found = len(recordings)
        note = (
            ""
            if found == nw_ucla.PUBLISHED_CLIPS
            else f"{source} holds {found:,} clips; {nw_ucla.PUBLISHED_CLIPS:,} are published: "
            "results will not compare."
        )
        recipe = Recipe(
            dataset=nw_ucla.DATASET,
            layout=nw_ucla.LAYOUT,
            class_names=nw_ucla.CLASS_NAMES,
            protocols=nw_ucla.PROTOCOLS,
            source=recordings.fingerprint(),
            num_clips=found,
            clips=recordings.clips,
            note=note,
        )
        return prepare(recipe, store, overwrite)


def prepare_synthetic(
    store: str,
    seed: int = 1,
    clips_per_class: int = synthetic.CLIPS_PER_CLASS,
    overwrite: bool = False,
) -> Prepared:
    """Synthetic: 18 parametric human motions, 10 subjects, 3 cameras; nothing to download.

    Args:
        store: Where the clip store goes: a folder, or a URI such as s3://bucket/folder.
        seed: Of all that is drawn; the same seed gives the same clips.
        clips_per_class: Spread evenly over subjects and cameras; 30 is one clip of each pair.
        overwrite: Replace what another source has put there, or a damaged store.

    Raises:
        InputError: A bad seed or number of clips, or the store is in use by another source,
            damaged, or cannot be written.
    """
    clips = synthetic.generate(seed, clips_per_class)
    recipe = Recipe(
        dataset=synthetic.DATASET,
        layout=synthetic.LAYOUT,
        class_names=synthetic.CLASS_NAMES,
        protocols=synthetic.PROTOCOLS,
        source={
            "reader": "synthetic/1",
            "seed": str(seed),
            "clips_per_class": str(clips_per_class),
        },
        num_clips=clips_per_class * len(synthetic.CLASS_NAMES),
        clips=lambda: clips,
    )
    return prepare(recipe, store, overwrite)


def prepare(recipe: Recipe, store: str, overwrite: bool) -> Prepared:
    """Makes a store, unless it is there already.

    Raises:
        InputError: See `prepare_nw_ucla`.
    """
    began = time.perf_counter()
    manifest = None if overwrite else _standing(recipe, store)
    written = manifest is None
    if manifest is None:
        console = Console(stderr=True)
        clips = track(recipe.clips(), recipe.dataset, recipe.num_clips, console=console)
        manifest = write_store(
            store,
            clips,
            dataset=recipe.dataset,
            layout=recipe.layout,
            class_names=recipe.class_names,
            protocols=recipe.protocols,
            source=recipe.source,
        )
    return Prepared(store, manifest, time.perf_counter() - began, written, recipe.note)


def _standing(recipe: Recipe, store: str) -> Manifest | None:
    """The store that is there, verified; None where there is none."""
    if MANIFEST not in folder(store).names():
        return None
    try:
        manifest = read_manifest(store)
        if (manifest.dataset, manifest.source) == (recipe.dataset, recipe.source):
            return verify_store(store)
    except InputError as error:
        raise InputError(f"{error} To replace what is there: --overwrite true.") from error
    raise InputError(
        f"The store {store} was made from something else ({_said(manifest.source)}; now "
        f"{_said(recipe.source)}): give another store, or replace it with --overwrite true."
    )


def _said(source: dict[str, str]) -> str:
    return ", ".join(f"{key} {value[:12]}" for key, value in source.items())


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def show(prepared: Prepared, console: Console) -> None:
    """Prints what a store holds."""
    manifest, facts = prepared.manifest, store_facts(prepared.store)
    frames, bodies = facts["num_frames"], facts["num_bodies"]
    table = Table(title=f"{manifest.dataset}: {prepared.store}", show_header=False)
    rows = {
        "classes": f"{len(manifest.class_names)}",
        "clips": f"{manifest.num_clips:,}",
        "subjects": f"{len(np.unique(facts['subject']))}",
        "cameras": f"{len(np.unique(facts['camera']))}",
        "frames": f"{frames.min()} / {np.median(frames):.0f} / {frames.max()} "
        "(shortest / median / longest)",
        "bodies": ", ".join(
            f"{_counted(int((bodies == number).sum()), 'clip')} of {number}"
            for number in np.unique(bodies)
        ),
        "layout": manifest.layout,
        "digest": manifest.digest,
        "size": f"{manifest.num_bytes / 1e6:.1f} MB in {_counted(len(manifest.shards), 'shard')}",
        "seconds": f"{prepared.seconds:.1f}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    protocols = Table("protocol", title="clips by protocol (val: whole subjects out of train)")
    for part in ("train", "val", "test"):
        protocols.add_column(part, justify="right")
    for name, counts in manifest.counts.items():
        protocols.add_row(name, *(f"{counts[part]:,}" for part in ("train", "val", "test")))
    console.print(protocols)
    if prepared.note:
        console.print(f"note: {prepared.note}", style="yellow", highlight=False)
    if not prepared.written:
        console.print(
            f"Nothing to do: {prepared.store} was made from the same source and is whole.",
            highlight=False,
        )
