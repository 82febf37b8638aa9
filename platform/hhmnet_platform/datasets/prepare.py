"""Makes clip stores: source -> store -> summary."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
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
from hhmnet_core.store.writing import StoreDescription, remove_manifest
from hhmnet_platform.datasets.describe import show_store
from hhmnet_platform.datasets.parallel import build_shards

# Parts of a source's fingerprint that do not take the files' contents, only names and sizes.
BY_SIZE = {"files", "videos"}


@dataclass(frozen=True)
class Recipe:
    """How a store is made.

    Attributes:
        about: What the store says of itself.
        recordings: What it is made from.
        shard_clips: Recordings of a shard.
        absent: Clips that there is no recording of, and why.
        published: For a protocol, how many clips the literature trains and tests on.
        notes: What the user should know of the source.
    """

    about: StoreDescription
    recordings: Source
    shard_clips: int = SHARD_CLIPS
    absent: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """A store that is there now.

    Attributes:
        store: Its URI.
        manifest: What it holds.
        recipe: What it was made by.
        seconds: It took to write or to verify.
        written: False where it was there already, made from the same, and whole.
    """

    store: str
    manifest: Manifest
    recipe: Recipe
    seconds: float
    written: bool


def prepare(
    recipe: Recipe, store: str, on_error: OnError, overwrite: bool, workers: int | None = 1
) -> Prepared:
    """Makes a store, unless it is there already; goes on where an interrupted run has stopped.

    Raises:
        InputError: As for `data_sets.prepare_nw_ucla`.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, but is {workers}.")
    began = time.perf_counter()
    manifest = None if overwrite else _standing(recipe, store)
    written = manifest is None
    if manifest is None:
        place = folder(store)
        plan = StorePlan(recipe.about, tuple(recipe.recordings.names), recipe.shard_clips)
        remove_manifest(place)
        parts = finished_shards(place, plan)
        build_shards(place, plan, recipe.recordings, on_error, workers, parts)
        in_order = [parts[number] for number in range(plan.num_shards)]
        manifest = finish_store(place, plan, in_order, recipe.absent)
    return Prepared(store, manifest, recipe, time.perf_counter() - began, written)


def _standing(recipe: Recipe, store: str) -> Manifest | None:
    """The store that is there, verified; None where there is none."""
    if MANIFEST not in folder(store).names():
        return None
    try:
        manifest = read_manifest(store)
        if (manifest.dataset, manifest.source) == (recipe.about.dataset, recipe.about.source):
            return verify_store(store)
    except InputError as error:
        raise InputError(f"{error} To replace what is there: --overwrite true.") from error
    readers = manifest.source.get("reader"), recipe.about.source.get("reader")
    what = "something else" if readers[0] == readers[1] else "something else, or by an older reader"
    raise InputError(
        f"The store {store} was made from {what} "
        f"({_differing(manifest.source, recipe.about.source)}): give another store, or replace it "
        "with --overwrite true."
    )


def _differing(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Where two sources differ."""
    keys = sorted(key for key in {*then, *now} if then.get(key) != now.get(key))
    differing = (
        f"{key} {then.get(key, 'none')[:12]}, now {now.get(key, 'none')[:12]}" for key in keys
    )
    return "; ".join(differing) or "another data set"


def print_prepared(prepared: Prepared, console: Console) -> None:
    """Prints what was prepared."""
    show_store(prepared.store, prepared.manifest, prepared.recipe.published, console)
    for note in prepared.recipe.notes:
        console.print(f"note: {note}", style="yellow", highlight=False, soft_wrap=True)
    if prepared.written:
        console.print(f"Written in {prepared.seconds:.1f} s.", highlight=False)
    else:
        console.print(
            f"Nothing to do: {prepared.store} was made from the same source and is whole.",
            highlight=False,
            soft_wrap=True,
        )
        if BY_SIZE & prepared.recipe.about.source.keys():
            console.print(
                "Its large files were compared by name and size (in a zip by checksum too): "
                "after a change within them, --overwrite true.",
                highlight=False,
                soft_wrap=True,
            )
