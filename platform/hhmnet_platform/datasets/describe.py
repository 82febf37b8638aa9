"""Describing a clip store: tables and figures of its content, and a check for damage."""

from collections.abc import Mapping
from io import BytesIO
from itertools import islice

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console
from rich.table import Table

from hhmnet_core.files import folder, split_uri
from hhmnet_core.inputs.copies import copies_of_training
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.store.building import LEFT_OUT
from hhmnet_core.store.clips import Clip, ClipSet, Float32Array, Int64Array
from hhmnet_core.store.manifest import Manifest, Visual
from hhmnet_core.store.protocols import LITERATURE, split_clips
from hhmnet_core.store.reading import load_clips, read_manifest, store_facts, verify_store
from hhmnet_core.store.shards import decode_shard, read_shard
from hhmnet_platform.presentation.drawing import Drawing, draw_figures, short_name, wrapped_name
from hhmnet_platform.presentation.labels import counted

Published = Mapping[str, tuple[int, int]]  # numbers of training and test clips, by protocol
NUM_SKELETONS = 6
MAX_NAMED_CLASSES = 40
TICK_WIDTH, IMAGE_WIDTH = 24, 22  # characters of a name in a line, below a bar, above an image
VIDEO_CLIPS, VIDEO_IMAGES = 8, 8


def verify(store: str) -> None:
    """Check a clip store for damage: read every shard and compare it with its digest.

    Args:
        store: Clip store: a folder, or a URI such as s3://bucket/folder.

    Raises:
        InputError: There is no store, or a shard is missing or damaged. The message names it.
    """
    manifest = verify_store(store)
    print(
        f"{folder(store).uri} is undamaged: {counted(manifest.num_clips, 'clip')} in "
        f"{counted(len(manifest.shards), 'shard')}, {manifest.num_bytes / 1e6:.1f} MB, "
        f"digest {manifest.digest}"
    )


def describe(store: str, figure: str = "describe.png") -> None:
    """Print the content of a clip store, and draw it: classes, subjects, views, skeletons, images.

    Protocols that test on copies of training clips are named.

    Args:
        store: Clip store: a folder, or a URI such as s3://bucket/folder.
        figure: PNG file for the figure, a path or a URI. The figure of images, for a store with
            video, is written beside it, with -video in its name.

    Raises:
        InputError: There is no store, a shard cannot be read, or a figure cannot be written.
    """
    manifest = read_manifest(store)
    console = Console(markup=False, emoji=False)
    show_store(store, manifest, {}, console)
    clips = load_clips(store)
    console.print(
        f"Digest of the skeletons, which identifies the data of phase 1: {clips.skeletons}",
        highlight=False,
        soft_wrap=True,
    )
    for line in _copies_notes(clips):
        console.print(line, style="yellow", highlight=False, soft_wrap=True)
    figures_folder, name = split_uri(figure)
    drawings: dict[str, Drawing] = {name: lambda: draw_store(store, manifest)}
    if manifest.visual and manifest.visual.clips:
        drawings[_video_name(name)] = lambda: draw_videos(store, manifest)
    for name, png in draw_figures(drawings).items():
        figures_folder.write(name, png)
        console.print(f"Figure  {figures_folder.at(name)}", highlight=False, soft_wrap=True)


def _video_name(name: str) -> str:
    """Return the name of the figure of images: -video before the ending of the other's name."""
    stem, dot, ending = name.rpartition(".")
    return f"{stem or ending}-video{dot}{ending if dot else ''}"


def show_store(store: str, manifest: Manifest, published: Published, console: Console) -> None:
    """Print the content of a store: facts, clips by protocol, and what was left out.

    Args:
        store: URI of the store.
        manifest: Manifest of the store.
        published: Published numbers of clips to compare with. Empty: nothing to compare with.
        console: Console to print to.
    """
    facts = store_facts(store)
    frames, bodies = facts["num_frames"], facts["num_bodies"]
    table = Table(title=f"{manifest.dataset}: {folder(store).uri}", show_header=False)
    rows = {
        "classes": f"{len(manifest.class_names)}",
        "clips": f"{manifest.num_clips:,}",
        "subjects": f"{len(np.unique(facts['subject']))}",
        "cameras": f"{len(np.unique(facts['camera']))}",
        "frames": f"{frames.min()} / {np.median(frames):.0f} / {frames.max()} "
        "(shortest / median / longest)",
        "bodies": ", ".join(
            f"{counted(int((bodies == number).sum()), 'clip')} with {number}"
            for number in np.unique(bodies)
        ),
        "layout": manifest.layout,
        "video": _video_text(manifest.visual),
        "digest": manifest.digest,
        "size": f"{manifest.num_bytes / 1e6:.1f} MB in {counted(len(manifest.shards), 'shard')}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    console.print(_protocols(manifest, published))
    if manifest.left_out:
        left_out = Table("left out", "", title="in the source, but not in the store")
        for kind, count in manifest.left_out.items():
            left_out.add_row(kind, f"{count:,}")
        console.print(left_out)
    if any(kind.startswith("clips ") for kind in manifest.left_out):
        console.print(
            f"Clips and reasons: {folder(store).uri}/{LEFT_OUT}", highlight=False, soft_wrap=True
        )


def _copies_notes(clips: ClipSet) -> list[str]:
    """Return a note for each protocol that tests on copies of training clips."""
    lines = []
    for name, counts in clips.manifest.counts.items():
        if not counts["train"] or not counts["test"]:
            continue
        copies = copies_of_training(clips, split_clips(clips, name, LITERATURE))
        if len(copies):
            lines.append(
                f"note: {len(copies)} of {counted(counts['test'], 'test clip')} of protocol {name} "
                f"are copies of training clips, such as {clips.sample_ids[copies[0]]}"
            )
    return lines


def draw_store(store: str, manifest: Manifest) -> Figure:
    """Draw clips by class, subject and camera, their lengths, and up to six skeletons."""
    facts, layout = store_facts(store), manifest.skeleton
    figure = Figure(figsize=(14, 11), layout="constrained")
    figure.suptitle(f"{manifest.dataset}: {manifest.num_clips:,} clips")
    rows = figure.subplots(3, NUM_SKELETONS, squeeze=False)
    for row in rows[:2]:
        for axis in row:
            axis.remove()
    grid = rows[0][0].get_gridspec()
    assert grid is not None
    by_class = np.bincount(facts["label"], minlength=len(manifest.class_names))
    axis = figure.add_subplot(grid[0, :])
    names = [wrapped_name(name, TICK_WIDTH) for name in manifest.class_names]
    axis.bar(range(len(by_class)), by_class)
    axis.set(title="clips of each class", xlim=(-0.6, len(by_class) - 0.4))
    if len(by_class) <= MAX_NAMED_CLASSES:
        axis.set_xticks(range(len(by_class)), names, rotation=30, ha="right")
    subjects = {number: short_name(name) for number, name in manifest.subject_names.items()}
    axis = figure.add_subplot(grid[1, :2])
    _draw_counts(axis, facts["subject"], "clips of each subject", subjects)
    _draw_counts(figure.add_subplot(grid[1, 2]), facts["camera"], "clips of each camera", {})
    axis = figure.add_subplot(grid[1, 3:])
    axis.hist(facts["num_frames"], bins=40)
    axis.set(title="length in frames")
    clips = _one_per_class(store, manifest, NUM_SKELETONS)
    for axis, clip in zip(rows[2], clips, strict=False):
        _draw_skeleton(axis, clip, layout, names[clip.label])
    for axis in rows[2][len(clips) :]:
        axis.remove()
    return figure


def draw_videos(store: str, manifest: Manifest) -> Figure:
    """Draw images and joints of up to eight clips of different classes, a row per clip."""
    clips = _one_per_class(store, manifest, VIDEO_CLIPS, video=True)
    visual, layout = manifest.visual, manifest.skeleton
    assert visual
    columns = min(visual.frames, VIDEO_IMAGES)
    height = 1.95 * len(clips) + 0.5  # names take up to four lines above the images
    figure = Figure(figsize=(1.7 * max(columns, 2), height), layout="constrained")
    for row, clip in zip(figure.subplots(len(clips), columns, squeeze=False), clips, strict=True):
        video = clip.video
        assert video
        shown = np.linspace(0, len(video.images) - 1, columns).round().astype(int)
        for axis, index in zip(row, shown, strict=True):
            image = np.asarray(Image.open(BytesIO(video.images[index])))
            extent = (0.0, 1.0, 1.0, 0.0)
            axis.imshow(image, cmap="gray", vmin=0, vmax=255, extent=extent)
            for body in video.joints[:, index]:
                _draw_pose(axis, body, layout, 1.0)
            axis.set(xlim=(-0.05, 1.05), ylim=(1.05, -0.05))
            axis.set_title(f"frame {video.positions[index]}", fontsize=7)
            axis.set_axis_off()
        names = (manifest.class_names[clip.label], clip.sample_id)
        lines = [wrapped_name(name, IMAGE_WIDTH) for name in names]
        row[0].set_title("\n".join([*lines, f"frame {video.positions[0]}"]), fontsize=7)
    return figure


def _one_per_class(store: str, manifest: Manifest, number: int, video: bool = False) -> list[Clip]:
    """Return clips of different classes, reading as few shards as possible.

    Args:
        store: URI of the store.
        manifest: Manifest of the store.
        number: Most clips to return.
        video: Return clips with video only.
    """
    shards = folder(store)
    first: dict[int, Clip] = {}
    for shard in manifest.shards:
        for clip in decode_shard(read_shard(shards, shard), shard, manifest, store, video=video):
            if clip.video or not video:
                first.setdefault(clip.label, clip)
        if len(first) >= number:
            break
    labels = sorted(first)
    step = max(1, len(labels) // number)
    return [first[label] for label in islice(labels, 0, None, step)][:number]


def _video_text(visual: Visual | None) -> str:
    """Return the kind, number and size of videos as a text."""
    if visual is None:
        return "none"
    return (
        f"{visual.stream}, {counted(visual.clips, 'clip')} of {counted(visual.frames, 'image')}, "
        f"{visual.size} x {visual.size}; {visual.joints_inside:.1%} of the joints inside"
    )


def _draw_counts(axis: Axes, values_n: Int64Array, title: str, names: Mapping[int, str]) -> None:
    values, counts = np.unique(values_n, return_counts=True)
    shown = [names.get(int(value), str(value)) for value in values]
    axis.bar(range(len(values)), counts)
    axis.set_xticks(range(len(values)), shown)
    axis.set(title=title)
    is_crowded = len(values) > 12 or sum(map(len, shown)) > 40
    axis.tick_params("x", rotation=90 if is_crowded else 0, labelsize=8)


def _draw_skeleton(axis: Axes, clip: Clip, layout: Layout, title: str) -> None:
    """Draw the middle frame of each body as the camera sees it."""
    for body in clip.joints[:, clip.joints.shape[1] // 2]:
        _draw_pose(axis, body[:, :2], layout, 2.0)
    axis.set(title=f"{title}\n{wrapped_name(clip.sample_id, TICK_WIDTH)}", aspect="equal")
    axis.title.set_fontsize(9)
    axis.set_axis_off()
    if layout.channels == 2:  # pixel rows count downwards
        axis.invert_yaxis()


def _draw_pose(axis: Axes, body_v2: Float32Array, layout: Layout, width: float) -> None:
    for child, parent in layout.bones:
        axis.plot(*body_v2[[child, parent]].T, color="tab:blue", linewidth=width)
    axis.plot(*body_v2.T, "o", color="tab:orange", markersize=1.5 * width)


def _protocols(manifest: Manifest, published: Published) -> Table:
    """Return the numbers of clips by protocol, beside published ones where there are any."""
    are_subjects = all(rule.val is None for rule in manifest.protocols.values())
    origin = "whole subjects" if are_subjects else "clips"
    table = Table("protocol", title=f"clips by protocol (val: {origin} taken from train)")
    splits = ("train", "val", "test")
    compared = ("train + val / published", "test / published") if published else ()
    for heading in (*splits, *compared):
        table.add_column(heading, justify="right")
    for name, counts in manifest.counts.items():
        shares = []
        if published:
            train, test = published[name]
            shares = [
                f"{counts['train'] + counts['val']:,} / {train:,}",
                f"{counts['test']:,} / {test:,}",
            ]
        table.add_row(name, *(f"{counts[split]:,}" for split in splits), *shares)
    return table
