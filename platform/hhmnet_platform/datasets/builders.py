"""What `experiments/prepare.py` does for each data set."""

from types import ModuleType
from typing import Literal

import yaml

from hhmnet_core.errors import InputError
from hhmnet_core.files import split_uri
from hhmnet_core.skeleton.layouts import Layout, get_layout
from hhmnet_core.skeleton.own_layout import parse_layout
from hhmnet_core.sources import nw_ucla, own, utd_mhad
from hhmnet_core.sources.ntu import recordings as ntu
from hhmnet_core.sources.synthetic import recordings as synthetic
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.sources.video_files import config_fingerprint
from hhmnet_core.store.building import SHARD_CLIPS, OnError
from hhmnet_core.store.manifest import Visual
from hhmnet_core.store.writing import StoreDescription
from hhmnet_platform.datasets.prepare import Prepared, Recipe, prepare

NTU_SHARD_CLIPS = 1024
VIDEO_SHARD_CLIPS = 128
_KEPT, _DEMO = VideoConfig(), VideoConfig(size=64)


def prepare_nw_ucla(
    source: str,
    store: str,
    videos: str = "",
    video: VideoConfig = _KEPT,
    focal: float = nw_ucla.FOCAL,
    on_error: OnError = "fail",
    workers: int | None = None,
    overwrite: bool = False,
) -> Prepared:
    """Northwestern-UCLA: 10 actions seen by 3 cameras, skeletons of 20 joints, and video.

    Args:
        source: The zip of the skeletons (all_sqe/aAA_sSS_eEE_vVV.json), or the folder of its
            files.
        store: Where the clip store goes: a folder, or a URI such as s3://bucket/folder.
        videos: The folder of the videos (multiview_action_videos, aAA/vVV_sSS_eEE.avi), or a zip
            of them; without, the store has skeletons alone.
        video: What is kept of a video.
        focal: The colour camera's focal length, in pixels of an image 640 wide.
        on_error: What to do about a file that cannot be read: stop, or leave it out and say so in
            left_out.csv.
        workers: Processes that read; by default one a core. 1 does without Ray.
        overwrite: Replace what another source has put there, or a damaged store.

    Raises:
        InputError: The source is missing, damaged or something else, or the store is in use by
            another source, damaged, or cannot be written.
    """
    with nw_ucla.Recordings(source, videos, video, focal) as recordings:
        visual = _visual("rgb", video) if videos else None
        recipe = _published_recipe(nw_ucla, recordings, source, visual)
        return prepare(recipe, store, on_error, overwrite, workers)


def prepare_utd_mhad(
    source: str,
    store: str,
    stream: utd_mhad.Stream = "none",
    video: VideoConfig = _KEPT,
    focal: float | None = None,
    on_error: OnError = "fail",
    workers: int | None = None,
    overwrite: bool = False,
) -> Prepared:
    """UTD-MHAD: 27 actions of 8 subjects before one camera, skeletons of 20 joints, and video.

    Args:
        source: The folder of the files aA_sS_tT_skeleton.mat, or a zip of them.
        store: Where the clip store goes: a folder, or a URI such as s3://bucket/folder.
        stream: What is kept beside the skeletons: depth (aA_sS_tT_depth.mat, as grey) or rgb
            (aA_sS_tT_color.avi), from the same source.
        video: What is kept of it.
        focal: The camera's focal length, in pixels of an image 320 wide; by default 265 for depth
            and 262.5 for rgb.
        on_error: What to do about a file that cannot be read: stop, or leave it out and say so in
            left_out.csv.
        workers: Processes that read; by default one a core. 1 does without Ray.
        overwrite: Replace what another source has put there, or a damaged store.

    Raises:
        InputError: The source is missing, damaged or something else, or the store is in use by
            another source, damaged, or cannot be written.
    """
    recordings = utd_mhad.Recordings(source, stream, video, focal)
    visual = _visual(stream, video) if stream != "none" else None
    recipe = _published_recipe(utd_mhad, recordings, source, visual)
    return prepare(recipe, store, on_error, overwrite, workers)


def prepare_ntu(
    source: str,
    store: str,
    edition: Literal[60, 120] | None = None,
    align: bool = False,
    videos: str = "",
    video: VideoConfig = _KEPT,
    on_error: OnError = "fail",
    workers: int | None = None,
    overwrite: bool = False,
) -> Prepared:
    """NTU RGB+D 60 and 120: 60 or 120 actions seen by 3 cameras, skeletons of 25 joints, and video.

    Args:
        source: The folder of the .skeleton files, or of the zips of them, or a zip.
        store: Where the clip store goes: a folder, or a URI such as s3://bucket/folder.
        edition: 60 takes set-ups 1 to 17 alone; by default 120 where there are files of others.
        align: Turn each clip upright and to the front by its first pose, once and for all; for
            turning in training alone there is data.align.
        videos: The folder of the colour videos (SsssCcccPpppRrrrAaaa_rgb.avi), or of the zips of
            them, or a zip; without, the store has skeletons alone.
        video: What is kept of a video.
        on_error: What to do about a file that cannot be read: stop, or leave it out and say so in
            left_out.csv.
        workers: Processes that read; by default one a core. 1 does without Ray.
        overwrite: Replace what another source has put there, or a damaged store.

    Raises:
        InputError: The source is missing, damaged or something else, or the store is in use by
            another source, damaged, or cannot be written.
    """
    recordings = ntu.Recordings(source, edition, align, videos, video)
    facts = recordings.edition
    recipe = Recipe(
        StoreDescription(
            facts.dataset,
            get_layout(ntu.LAYOUT),
            facts.class_names,
            facts.protocols,
            recordings.fingerprint(),
            _visual("rgb", video) if videos else None,
        ),
        recordings,
        VIDEO_SHARD_CLIPS if videos else NTU_SHARD_CLIPS,
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
    video: VideoConfig = _KEPT,
    fps: float | None = None,
    on_error: OnError = "fail",
    workers: int | None = None,
    overwrite: bool = False,
) -> Prepared:
    """One's own data: a CSV of clips, and a file of joints for each.

    Args:
        index: The CSV, with the columns sample_id, label, subject, skeleton (a .npy, .npz or .json
            of (T, V, C) or (M, T, V, C), found from the CSV's folder) and, where they apply,
            camera, setup, split (train or test) and video (a file; 3D skeletons then are .npz of
            joints and pixels).
        layout: The skeletons' layout: kinect_v1_20, kinect_v1_20_utd, kinect_v2_25 or coco_17, or
            a YAML file of one's own.
        store: Where the clip store goes: a folder, or a URI such as s3://bucket/folder.
        classes: The labels in order; by default those of the CSV, sorted.
        name: The data set's name.
        video: What is kept of videos.
        fps: The skeletons' frames a second, where videos may be longer or shorter than they; by
            default the two begin and end together.
        on_error: What to do about a file that cannot be read: stop, or leave it out and say so in
            left_out.csv.
        workers: Processes that read; by default one a core. 1 does without Ray.
        overwrite: Replace what another source has put there, or a damaged store.

    Raises:
        InputError: The CSV or a file is missing, damaged or something else, or the store is in use
            by another source, damaged, or cannot be written.
    """
    skeleton = _layout(layout)
    recordings = own.Recordings(index, skeleton, classes or (), video, fps)
    about = StoreDescription(
        name,
        skeleton,
        recordings.class_names,
        recordings.protocols,
        recordings.fingerprint(),
        _visual("rgb", video) if recordings.has_video else None,
    )
    shard_clips = VIDEO_SHARD_CLIPS if recordings.has_video else SHARD_CLIPS
    recipe = Recipe(about, recordings, shard_clips, notes=recordings.notes)
    return prepare(recipe, store, on_error, overwrite, workers)


def prepare_synthetic(
    store: str,
    seed: int = 1,
    clips_per_class: int = synthetic.CLIPS_PER_CLASS,
    stream: Literal["none", "rgb"] = "rgb",
    video: VideoConfig = _DEMO,
    workers: int | None = None,
    overwrite: bool = False,
) -> Prepared:
    """Synthetic: 21 parametric actions, 10 subjects, 3 cameras, and video; nothing to download.

    Args:
        store: Where the clip store goes: a folder, or a URI such as s3://bucket/folder.
        seed: Of all that is drawn; the same seed gives the same clips.
        clips_per_class: Spread evenly over subjects and cameras; 30 is one clip of each pair.
        stream: rgb draws a video of each clip; none leaves the skeletons alone.
        video: What is kept of it.
        workers: Processes that draw; by default one a core. 1 does without Ray.
        overwrite: Replace what another source has put there, or a damaged store.

    Raises:
        InputError: A bad seed or number of clips, or the store is in use by another source,
            damaged, or cannot be written.
    """
    filmed = stream == "rgb"
    recipe = Recipe(
        StoreDescription(
            synthetic.DATASET,
            get_layout(synthetic.LAYOUT),
            synthetic.CLASS_NAMES,
            synthetic.PROTOCOLS,
            {
                "reader": "synthetic/2",
                "seed": str(seed),
                "clips_per_class": str(clips_per_class),
                **(config_fingerprint(video) if filmed else {}),
            },
            _visual("rgb", video) if filmed else None,
        ),
        synthetic.Recordings(seed, clips_per_class, video if filmed else None),
        VIDEO_SHARD_CLIPS if filmed else SHARD_CLIPS,
    )
    return prepare(recipe, store, "fail", overwrite, workers)


def _published_recipe(
    data_set: ModuleType,
    recordings: nw_ucla.Recordings | utd_mhad.Recordings,
    source: str,
    visual: Visual | None,
) -> Recipe:
    """Of a data set that its module describes; with a note where clips are absent or too many."""
    about = StoreDescription(
        data_set.DATASET,
        get_layout(data_set.LAYOUT),
        data_set.CLASS_NAMES,
        data_set.PROTOCOLS,
        recordings.fingerprint(),
        visual,
    )
    found, published = len(recordings.names), data_set.PUBLISHED_CLIPS
    note = f"{source} holds {found:,} clips; {published:,} are published: results will not compare."
    shard_clips = VIDEO_SHARD_CLIPS if visual else SHARD_CLIPS
    return Recipe(about, recordings, shard_clips, notes=() if found == published else (note,))


def _visual(stream: str, video: VideoConfig) -> Visual:
    return Visual(stream, video.frames, video.size)


def _layout(name: str) -> Layout:
    """A built-in layout, or one of a YAML file."""
    if not name.lower().endswith((".yaml", ".yml")):
        return get_layout(name)
    place, file = split_uri(name)
    try:
        fields = yaml.safe_load(place.read(file))
    except FileNotFoundError as error:
        raise InputError(f"There is no layout at {name}: expected a YAML file.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{name} is not YAML ({str(error)[:200]}).") from error
    if fields is None:
        raise InputError(f"{name} is empty: expected a layout, as docs/data.md shows one.")
    return parse_layout(fields, name)
