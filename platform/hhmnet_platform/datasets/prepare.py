"""Preparing a clip store: from a source to a store to a summary of it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console

from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder, folder
from hhmnet_core.store.building import (
    SHARD_CLIPS,
    OnError,
    Source,
    StorePlan,
    finish_store,
    finished_shards,
)
from hhmnet_core.store.manifest import Manifest
from hhmnet_core.store.reading import MANIFEST, read_manifest, verify_store
from hhmnet_core.store.writing import StoreDescription, is_foreign, remove_manifest
from hhmnet_platform.datasets.describe import show_store
from hhmnet_platform.datasets.parallel import build_shards

# Entries of a source's fingerprint that stand for names and sizes of files, not for their content.
BY_SIZE = {"files", "videos"}


@dataclass(frozen=True)
class Recipe:
    """Everything that a store is built from.

    Attributes:
        description: Description of the store.
        recordings: Recordings that become its clips.
        shard_clips: Number of recordings per shard.
        absent: Reasons by sample id, for clips of the data set that have no recording.
        list_absent: Whether left_out.csv names each of these clips.
        published: Published numbers of training and test clips, by protocol.
        notes: Notes on the source, to be shown with the summary.
        speed_note: Note on what would make it faster, to be shown before the first clip is read.
    """

    description: StoreDescription
    recordings: Source
    shard_clips: int = SHARD_CLIPS
    absent: Mapping[str, str] = field(default_factory=dict)
    list_absent: bool = False
    published: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    speed_note: str = ""


@dataclass(frozen=True)
class Prepared:
    """A store that is complete.

    Attributes:
        store: URI of the store.
        manifest: Manifest of the store.
        recipe: Everything that it is built from.
        seconds: Time that building or verifying it took.
        written: False if it existed already, was made from the same source and is undamaged.
    """

    store: str
    manifest: Manifest
    recipe: Recipe
    seconds: float
    written: bool


def prepare(
    recipe: Recipe, store: str, on_error: OnError, overwrite: bool, workers: int | None = 1
) -> Prepared:
    """Build a store, unless it exists already; continue where an interrupted call stopped.

    Args:
        recipe: Everything that the store is built from.
        store: URI of the store.
        on_error: "fail" or "quarantine" a recording that cannot be read.
        overwrite: Replace a store that was made from something else, or is damaged.
        workers: Number of processes. None: one per CPU core of the machine or the cluster.

    Raises:
        InputError: The source or the store cannot be used, or the folder cannot be written.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, but is {workers}.")
    began = time.perf_counter()
    manifest = _existing(recipe, store, overwrite)
    written = manifest is None
    if manifest is None:
        manifest = _build(recipe, folder(store), on_error, workers)
    return Prepared(store, manifest, recipe, time.perf_counter() - began, written)


def _build(recipe: Recipe, store: Folder, on_error: OnError, workers: int | None) -> Manifest:
    """Build the shards that are missing, and then the manifest."""
    plan = StorePlan(recipe.description, tuple(recipe.recordings.names), recipe.shard_clips)
    remove_manifest(store)
    shards = finished_shards(store, plan)
    if recipe.speed_note:
        print(f"note: {recipe.speed_note}", flush=True)
    build_shards(store, plan, recipe.recordings, on_error, workers, shards)
    in_order = [shards[number] for number in range(plan.num_shards)]
    return finish_store(store, plan, in_order, recipe.absent, recipe.list_absent)


def _existing(recipe: Recipe, store: str, overwrite: bool) -> Manifest | None:
    """Return the manifest of the existing store, verified, or None where it is to be built.

    Raises:
        InputError: The store was made from something else or is damaged, and is not to be
            replaced; or the folder holds other files.
    """
    names = folder(store).names()
    if MANIFEST not in names:
        if is_foreign(names):
            raise InputError(
                f"{store} holds {', '.join(names[:3])}{' ...' if names[3:] else ''} and is no clip "
                "store: give --store a folder of its own."
            )
        return None
    if overwrite:
        return None
    wanted = recipe.description
    try:
        manifest = read_manifest(store)
        if (manifest.dataset, manifest.source) == (wanted.dataset, wanted.source):
            return verify_store(store)
    except InputError as error:
        raise InputError(f"{error} To replace the store: --overwrite true.") from error
    same_reader = manifest.source.get("reader") == wanted.source.get("reader")
    origin = "something else" if same_reader else "something else, or by an older reader"
    raise InputError(
        f"The store {store} was made from {origin} "
        f"({_differences(manifest.source, wanted.source)}): give another store, or replace it with "
        "--overwrite true."
    )


def _differences(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return a text that lists the entries in which two fingerprints differ."""
    keys = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    differences = (
        f"{key} {before.get(key, 'none')[:12]}, now {now.get(key, 'none')[:12]}" for key in keys
    )
    return "; ".join(differences) or "another data set"


def print_prepared(prepared: Prepared, console: Console) -> None:
    """Print the summary of a store, and whether it was written."""
    show_store(prepared.store, prepared.manifest, prepared.recipe.published, console)
    for note in prepared.recipe.notes:
        console.print(f"note: {note}", style="yellow", highlight=False, soft_wrap=True)
    if prepared.written:
        lines = [f"Written in {prepared.seconds:.1f} s."]
    else:
        shown = folder(prepared.store).uri
        lines = [f"Nothing to do: {shown} was made from the same source and is undamaged."]
        if BY_SIZE & prepared.recipe.description.source.keys():
            lines.append(
                "Large files were compared by name and size (in a zip by checksum too): after a "
                "change within them, use --overwrite true."
            )
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
