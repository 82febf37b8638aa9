"""Makes clip stores: source -> store -> summary."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Literal

from rich.console import Console

from hhmnet_core.data.manifest import Manifest
from hhmnet_core.data.store import MANIFEST, read_manifest, verify_store
from hhmnet_core.data.writing import (
    SHARD_CLIPS,
    About,
    OnError,
    Plan,
    Source,
    begin,
    finish,
    standing_parts,
)
from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.sources import ntu, nw_ucla, own, synthetic, utd_mhad
from hhmnet_platform.describe import show_store
from hhmnet_platform.parts import make_parts

NTU_SHARD_CLIPS = 1024


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

    about: About
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


def prepare_nw_ucla(
    source: str, store: str, on_error: OnError = "fail", overwrite: bool = False
) -> Prepared:
    """Northwestern-UCLA: 10 actions seen by 3 cameras, skeletons of 20 joints.

    Args:
        source: The zip of the skeletons (all_sqe/aAA_sSS_eEE_vVV.json), or the folder of its
            files.
        store: Where the clip store goes: a folder, or a URI such as s3://bucket/folder.
        on_error: What to do about a file that cannot be read: stop, or leave it out and say so in
            left_out.csv.
        overwrite: Replace what another source has put there, or a damaged store.

    Raises:
        InputError: The source is missing, damaged or something else, or the store is in use by
            another source, damaged, or cannot be written.
    """
    with nw_ucla.Recordings(source) as recordings:
        recipe = _published_recipe(nw_ucla, recordings, source)
        return prepare(recipe, store, on_error, overwrite)


def prepare_utd_mhad(
    source: str, store: str, on_error: OnError = "fail", overwrite: bool = False
) -> Prepared:
    """UTD-MHAD: 27 actions of 8 subjects before one camera, skeletons of 20 joints.

    Args:
        source: The folder of the files aA_sS_tT_skeleton.mat, or a zip of them.
        store: Where the clip store goes: a folder, or a URI such as s3://bucket/folder.
        on_error: What to do about a file that cannot be read: stop, or leave it out and say so in
            left_out.csv.
        overwrite: Replace what another source has put there, or a damaged store.

    Raises:
        InputError: The source is missing, damaged or something else, or the store is in use by
            another source, damaged, or cannot be written.
    """
    recordings = utd_mhad.Recordings(source)
    recipe = _published_recipe(utd_mhad, recordings, source)
    return prepare(recipe, store, on_error, overwrite)


def prepare_ntu(
    source: str,
    store: str,
    edition: Literal[60, 120] | None = None,
    align: bool = False,
    on_error: OnError = "fail",
    workers: int | None = None,
    overwrite: bool = False,
) -> Prepared:
    """NTU RGB+D 60 and 120: 60 or 120 actions seen by 3 cameras, skeletons of 25 joints.

    Args:
        source: The folder of the .skeleton files, or of the zips of them, or a zip.
        store: Where the clip store goes: a folder, or a URI such as s3://bucket/folder.
        edition: 60 takes set-ups 1 to 17 alone; by default 120 where there are files of others.
        align: Turn each clip upright and to the front by its first pose, once and for all; for
            turning in training alone there is data.align.
        on_error: What to do about a file that cannot be read: stop, or leave it out and say so in
            left_out.csv.
        workers: Processes that read; by default one a core. 1 does without Ray.
        overwrite: Replace what another source has put there, or a damaged store.

    Raises:
        InputError: The source is missing, damaged or something else, or the store is in use by
            another source, damaged, or cannot be written.
    """
    recordings = ntu.Recordings(source, edition, align)
    facts = recordings.edition
    recipe = Recipe(
        About(
            facts.dataset,
            ntu.LAYOUT,
            facts.class_names,
            facts.protocols,
            recordings.fingerprint(),
        ),
        recordings,
        NTU_SHARD_CLIPS,
        absent=recordings.absent(),
        published=facts.published,
    )
    return prepare(recipe, store, on_error, overwrite, workers)


def prepare_own(
    index: str,
    layout: str,
    store: str,
    classes: list[str] | None = None,
    name: str = "own",
    on_error: OnError = "fail",
    workers: int | None = None,
    overwrite: bool = False,
) -> Prepared:
    """One's own data: a CSV of clips, and a file of joints for each.

    Args:
        index: The CSV, with the columns sample_id, label, subject, skeleton (a .npy, .npz or .json
            of (T, V, C) or (M, T, V, C), found from the CSV's folder) and, where they apply,
            camera, setup and split (train or test).
        layout: The skeletons' layout: kinect_v1_20, kinect_v1_20_utd, kinect_v2_25 or coco_17.
        store: Where the clip store goes: a folder, or a URI such as s3://bucket/folder.
        classes: The labels in order; by default those of the CSV, sorted.
        name: The data set's name.
        on_error: What to do about a file that cannot be read: stop, or leave it out and say so in
            left_out.csv.
        workers: Processes that read; by default one a core. 1 does without Ray.
        overwrite: Replace what another source has put there, or a damaged store.

    Raises:
        InputError: The CSV or a file is missing, damaged or something else, or the store is in use
            by another source, damaged, or cannot be written.
    """
    recordings = own.Recordings(index, layout, classes or ())
    about = About(
        name, layout, recordings.class_names, recordings.protocols, recordings.fingerprint()
    )
    recipe = Recipe(about, recordings, notes=recordings.notes)
    return prepare(recipe, store, on_error, overwrite, workers)


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
    recipe = Recipe(
        About(
            synthetic.DATASET,
            synthetic.LAYOUT,
            synthetic.CLASS_NAMES,
            synthetic.PROTOCOLS,
            {
                "reader": "synthetic/1",
                "seed": str(seed),
                "clips_per_class": str(clips_per_class),
            },
        ),
        synthetic.Recordings(seed, clips_per_class),
    )
    return prepare(recipe, store, "fail", overwrite)


def prepare(
    recipe: Recipe, store: str, on_error: OnError, overwrite: bool, workers: int | None = 1
) -> Prepared:
    """Makes a store, unless it is there already; goes on where an interrupted run has stopped.

    Raises:
        InputError: See `prepare_nw_ucla`.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers must be at least 1, but is {workers}.")
    began = time.perf_counter()
    manifest = None if overwrite else _standing(recipe, store)
    written = manifest is None
    if manifest is None:
        place = folder(store)
        plan = Plan(recipe.about, tuple(recipe.recordings.names), recipe.shard_clips)
        begin(place)
        parts = standing_parts(place, plan)
        make_parts(place, plan, recipe.recordings, on_error, workers, parts)
        in_order = [parts[number] for number in range(plan.num_parts)]
        manifest = finish(place, plan, in_order, recipe.absent)
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
    raise InputError(
        f"The store {store} was made from something else ({_said(manifest.source)}; now "
        f"{_said(recipe.about.source)}): give another store, or replace it with --overwrite true."
    )


def _published_recipe(
    data_set: ModuleType, recordings: nw_ucla.Recordings | utd_mhad.Recordings, source: str
) -> Recipe:
    """Of a data set that its module describes; with a note where clips are absent or too many."""
    about = About(
        data_set.DATASET,
        data_set.LAYOUT,
        data_set.CLASS_NAMES,
        data_set.PROTOCOLS,
        recordings.fingerprint(),
    )
    found, published = len(recordings.names), data_set.PUBLISHED_CLIPS
    note = f"{source} holds {found:,} clips; {published:,} are published: results will not compare."
    return Recipe(about, recordings, notes=() if found == published else (note,))


def _said(source: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value[:12]}" for key, value in source.items())


def show(prepared: Prepared, console: Console) -> None:
    """Prints what was prepared."""
    show_store(prepared.store, prepared.manifest, prepared.recipe.published, console)
    for note in prepared.recipe.notes:
        console.print(f"note: {note}", style="yellow", highlight=False)
    if prepared.written:
        console.print(f"Written in {prepared.seconds:.1f} s.", highlight=False)
    else:
        console.print(
            f"Nothing to do: {prepared.store} was made from the same source and is whole.",
            highlight=False,
        )
