"""Builders of clip stores from raw data, a function per data set: commands of `hhmnet prepare`.

The docstrings are their `--help`.
"""

from types import ModuleType
from typing import Literal

from hhmnet_core.checks.names import check_name
from hhmnet_core.passwords import without_password
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.skeleton.missing import MIN_CONFIDENCE, OnMissing
from hhmnet_core.sources import nw_ucla, utd_mhad
from hhmnet_core.sources.ntu import recordings as ntu
from hhmnet_core.sources.ntu.skeleton_file import compiled_scan
from hhmnet_core.sources.own import recordings as own
from hhmnet_core.sources.own.poses import Reading
from hhmnet_core.sources.synthetic import recordings as synthetic
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.sources.video_files import config_fingerprint
from hhmnet_core.store.building import SHARD_CLIPS, OnError
from hhmnet_core.store.manifest import Visual
from hhmnet_core.store.writing import StoreDescription
from hhmnet_platform.datasets.layouts import load_layout
from hhmnet_platform.datasets.prepare import Prepared, Recipe, prepare

NTU_SHARD_CLIPS = 1024
VIDEO_SHARD_CLIPS = 128
NTU_SPEED_NOTE = (
    "skeleton files are read by plain Python. To parse them 15 times as fast: "
    "pip install 'hhmnet-ray[ntu]'."
)
_DEFAULT_VIDEO, _SYNTHETIC_VIDEO = VideoConfig(), VideoConfig(size=64)


def prepare_nw_ucla(
    source: str,
    store: str,
    videos: str = "",
    video: VideoConfig = _DEFAULT_VIDEO,
    focal: float = nw_ucla.FOCAL,
    on_error: OnError = "fail",
    workers: int | None = None,
    overwrite: bool = False,
) -> Prepared:
    """Prepare Northwestern-UCLA: 10 actions seen by 3 cameras, skeletons of 20 joints, video.

    Args:
        source: Zip of the skeletons (all_sqe/aAA_sSS_eEE_vVV.json), or the folder of its files.
        store: Clip store to write: a folder, or a URI such as s3://bucket/folder.
        videos: Folder of the videos (multiview_action_videos, aAA/vVV_sSS_eEE.avi), or a zip of
            them. Default: none, the store holds skeletons only.
        video: Format of the stored videos.
        focal: Focal length of the colour camera, in pixels of an image 640 wide.
        on_error: Reaction to a file that cannot be read: fail stops, quarantine leaves it out and
            lists it in left_out.csv.
        workers: Number of processes that read. Default: one per CPU core. 1 needs no Ray.
        overwrite: Replace a store that was made from another source, or is damaged.

    Raises:
        InputError: The source is missing, damaged or no such data set, or the store was made from
            another source, is damaged or cannot be written.
    """
    with nw_ucla.Recordings(source, videos, video, focal) as recordings:
        visual = _visual("rgb", video) if videos else None
        recipe = _published_recipe(nw_ucla, recordings, source, visual)
        return prepare(recipe, store, on_error, overwrite, workers)


def prepare_utd_mhad(
    source: str,
    store: str,
    stream: utd_mhad.Stream = "none",
    video: VideoConfig = _DEFAULT_VIDEO,
    focal: float | None = None,
    on_error: OnError = "fail",
    workers: int | None = None,
    overwrite: bool = False,
) -> Prepared:
    """Prepare UTD-MHAD: 27 actions seen by one camera, skeletons of 20 joints, video.

    Args:
        source: Folder of the files aA_sS_tT_skeleton.mat, or a zip of them.
        store: Clip store to write: a folder, or a URI such as s3://bucket/folder.
        stream: Video to store with the skeletons, from the same source: none, depth
            (aA_sS_tT_depth.mat, as grey images) or rgb (aA_sS_tT_color.avi).
        video: Format of the stored videos.
        focal: Focal length of the camera, in pixels of an image 320 wide. Default: 265 for depth,
            262.5 for rgb.
        on_error: Reaction to a file that cannot be read: fail stops, quarantine leaves it out and
            lists it in left_out.csv.
        workers: Number of processes that read. Default: one per CPU core. 1 needs no Ray.
        overwrite: Replace a store that was made from another source, or is damaged.

    Raises:
        InputError: The source is missing, damaged or no such data set, or the store was made from
            another source, is damaged or cannot be written.
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
    video: VideoConfig = _DEFAULT_VIDEO,
    list_absent: bool = False,
    on_error: OnError = "fail",
    workers: int | None = None,
    overwrite: bool = False,
) -> Prepared:
    """Prepare NTU RGB+D 60 or 120: actions seen by 3 cameras, skeletons of 25 joints, video.

    Args:
        source: Folder of the .skeleton files or of zips of them, or a zip.
        store: Clip store to write: a folder, or a URI such as s3://bucket/folder.
        edition: Edition of the data set: 60 (setups 1 to 17 only) or 120. Default: 120 if the
            source has files of other setups, else 60.
        align: Store each clip turned upright and to the front by its first pose. To turn clips in
            training instead, use data.align there.
        videos: Folder of the colour videos (SsssCcccPpppRrrrAaaa_rgb.avi) or of zips of them, or a
            zip. Default: none, the store holds skeletons only.
        video: Format of the stored videos.
        list_absent: Name each clip of the data set that the source lacks in left_out.csv, instead
            of their number only.
        on_error: Reaction to a file that cannot be read: fail stops, quarantine leaves it out and
            lists it in left_out.csv.
        workers: Number of processes that read. Default: one per CPU core. 1 needs no Ray.
        overwrite: Replace a store that was made from another source, or is damaged.

    Raises:
        InputError: The source is missing, damaged or no such data set, or the store was made from
            another source, is damaged or cannot be written.
    """
    recordings = ntu.Recordings(source, edition, align, videos, video)
    data_set = recordings.edition
    recipe = Recipe(
        StoreDescription(
            data_set.dataset,
            get_layout(ntu.LAYOUT),
            data_set.class_names,
            data_set.protocols,
            recordings.fingerprint(),
            _visual("rgb", video) if videos else None,
        ),
        recordings,
        VIDEO_SHARD_CLIPS if videos else NTU_SHARD_CLIPS,
        absent=recordings.absent(),
        list_absent=list_absent,
        published=data_set.published,
        speed_note="" if compiled_scan() else NTU_SPEED_NOTE,
    )
    return prepare(recipe, store, on_error, overwrite, workers)


def prepare_own(
    index: str,
    layout: str,
    store: str,
    classes: list[str] | None = None,
    name: str = "own",
    video: VideoConfig = _DEFAULT_VIDEO,
    fps: float | None = None,
    axes: str = "",
    missing: OnMissing = "refuse",
    min_confidence: float = MIN_CONFIDENCE,
    on_error: OnError = "fail",
    workers: int | None = None,
    overwrite: bool = False,
) -> Prepared:
    """Prepare your own data: a CSV file of clips, and a file of joints for each of them.

    Args:
        index: CSV file with the columns sample_id, label, subject, skeleton (a .npy, .npz or .json
            file of shape (T, V, C) or (M, T, V, C), relative to the folder of the CSV file; a third
            coordinate of 2D joints is their confidence) and optionally camera, setup, split (train,
            val or test; subject may then be absent) and video (a file; a 3D skeleton is then an
            .npz file of joints and pixels).
        layout: Skeleton layout: kinect_v1_20, kinect_v1_20_utd, kinect_v2_25, blazepose_33 or
            coco_17, or a YAML file of your own.
        store: Clip store to write: a folder, or a URI such as s3://bucket/folder.
        classes: Labels in the order of their numbers. Default: those of the CSV file, sorted.
        name: Name of the data set.
        video: Format of the stored videos.
        fps: Frames per second of the skeletons, for videos that end before or after them. Default:
            skeletons and videos start and end together.
        axes: Order of the axes of the skeleton files: letters for bodies (M), frames (T), joints
            (V) and coordinates (C), such as CTVM as in ST-GCN. Default: TVC or MTVC; files that may
            be in another order are refused.
        missing: Treatment of joints whose position is NaN, exactly 0 or -1, or of low confidence
            while their body is visible: refuse stops, hold repeats the last known position,
            interpolate draws a line between the known ones before and after.
        min_confidence: Smallest confidence of a known joint, 0 to 1.
        on_error: Reaction to a file that cannot be read: fail stops, quarantine leaves it out and
            lists it in left_out.csv.
        workers: Number of processes that read. Default: one per CPU core. 1 needs no Ray.
        overwrite: Replace a store that was made from another source, or is damaged.

    Raises:
        InputError: The name cannot be used, the CSV file, the layout or a file of a clip is missing
            or cannot be used, or the store was made from another source, is damaged or cannot be
            written.
    """
    check_name(name, "data set name")
    skeleton = load_layout(layout)
    reading = Reading(axes, missing, min_confidence)
    recordings = own.Recordings(index, skeleton, classes or (), video, fps, reading)
    description = StoreDescription(
        name,
        skeleton,
        recordings.class_names,
        recordings.protocols,
        recordings.fingerprint(),
        _visual("rgb", video) if recordings.has_video else None,
        recordings.subject_names,
        recordings.size_ratio,
    )
    shard_clips = VIDEO_SHARD_CLIPS if recordings.has_video else SHARD_CLIPS
    recipe = Recipe(description, recordings, shard_clips, notes=recordings.notes)
    return prepare(recipe, store, on_error, overwrite, workers)


def prepare_synthetic(
    store: str,
    seed: int = 1,
    clips_per_class: int = synthetic.CLIPS_PER_CLASS,
    classes: Literal[21, 60] = 21,
    stream: Literal["none", "rgb"] = "rgb",
    video: VideoConfig = _SYNTHETIC_VIDEO,
    workers: int | None = None,
    overwrite: bool = False,
) -> Prepared:
    """Make synthetic data: 21 or 60 parametric actions, 10 subjects, 3 cameras, video; no download.

    Args:
        store: Clip store to write: a folder, or a URI such as s3://bucket/folder.
        seed: Random seed of the clips. The same seed gives the same clips.
        clips_per_class: Number of clips per class, spread evenly over subjects and cameras; 30 is
            one clip of each pair.
        classes: Number of classes: 21 single actions, or 60, harder: 18 single ones that skeletons
            tell apart and 42 ordered pairs.
        stream: Video to store with the skeletons: rgb (drawn images) or none.
        video: Format of the stored videos.
        workers: Number of processes that draw. Default: one per CPU core. 1 needs no Ray.
        overwrite: Replace a store that was made from another source, or is damaged.

    Raises:
        InputError: The seed or the number of clips cannot be used, or the store was made from
            another source, is damaged or cannot be written.
    """
    filmed = stream == "rgb"
    recordings = synthetic.Recordings(seed, clips_per_class, video if filmed else None, classes)
    recipe = Recipe(
        StoreDescription(
            synthetic.DATASET,
            get_layout(synthetic.LAYOUT),
            recordings.class_names,
            synthetic.PROTOCOLS,
            {
                "reader": "synthetic/2",
                "seed": str(seed),
                "clips_per_class": str(clips_per_class),
                **({} if classes == len(synthetic.CLASS_NAMES) else {"classes": str(classes)}),
                **(config_fingerprint(video) if filmed else {}),
            },
            _visual("rgb", video) if filmed else None,
        ),
        recordings,
        VIDEO_SHARD_CLIPS if filmed else SHARD_CLIPS,
    )
    return prepare(recipe, store, "fail", overwrite, workers)


def _published_recipe(
    data_set: ModuleType,
    recordings: nw_ucla.Recordings | utd_mhad.Recordings,
    source: str,
    visual: Visual | None,
) -> Recipe:
    """Return the recipe of a published data set, with a note if clips are missing or too many.

    Args:
        data_set: Module that describes the data set.
        recordings: Recordings of the source.
        source: Path or URI of the source, for the note.
        visual: Format of the videos. None for a store without video.
    """
    description = StoreDescription(
        data_set.DATASET,
        get_layout(data_set.LAYOUT),
        data_set.CLASS_NAMES,
        data_set.PROTOCOLS,
        recordings.fingerprint(),
        visual,
    )
    num_clips, published = len(recordings.names), data_set.PUBLISHED_CLIPS
    notes: tuple[str, ...] = ()
    if num_clips != published:
        notes = (
            f"{without_password(source)} holds {num_clips:,} clips; {published:,} are published: "
            "results cannot be compared with published ones.",
        )
    shard_clips = VIDEO_SHARD_CLIPS if visual else SHARD_CLIPS
    return Recipe(description, recordings, shard_clips, notes=notes)


def _visual(stream: str, video: VideoConfig) -> Visual:
    return Visual(stream, video.frames, video.size)
