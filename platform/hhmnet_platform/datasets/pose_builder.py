"""Builder of clip stores from videos, whose skeletons are estimated: `hhmnet prepare poses`.

The docstring is its `--help`.
"""

from typing import Literal

from hhmnet_core.checks.names import check_name
from hhmnet_core.poses.blazepose.estimator import BlazePoseConfig
from hhmnet_core.poses.estimators import (
    DEFAULT_BLAZEPOSE,
    DEFAULT_RTMLIB,
    EstimatorName,
    choose_estimator,
)
from hhmnet_core.poses.recordings import Recordings
from hhmnet_core.poses.rtmlib import RtmlibConfig
from hhmnet_core.poses.video import MAX_BODIES
from hhmnet_core.skeleton.missing import MIN_CONFIDENCE, OnMissing
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.store.building import OnError
from hhmnet_core.store.manifest import Visual
from hhmnet_core.store.writing import StoreDescription
from hhmnet_platform.datasets.prepare import Prepared, Recipe, prepare

# A video takes seconds, and only whole shards are built in parallel and resumed.
NUM_SHARDS, MAX_SHARD_CLIPS = 64, 128
_DEFAULT_VIDEO = VideoConfig()
LayoutName = Literal["blazepose_33", "coco_17", "kinect_v1_20", "kinect_v1_20_utd", "kinect_v2_25"]


def prepare_poses(
    videos: str,
    labels: str,
    store: str,
    layout: LayoutName | None = None,
    estimator: EstimatorName = "blazepose",
    max_bodies: int = MAX_BODIES,
    missing: OnMissing = "interpolate",
    min_confidence: float = MIN_CONFIDENCE,
    focal: float | None = None,
    stream: Literal["none", "rgb"] = "rgb",
    video: VideoConfig = _DEFAULT_VIDEO,
    blazepose: BlazePoseConfig = DEFAULT_BLAZEPOSE,
    rtmlib: RtmlibConfig = DEFAULT_RTMLIB,
    classes: list[str] | None = None,
    name: str = "poses",
    on_error: OnError = "quarantine",
    workers: int | None = None,
    overwrite: bool = False,
) -> Prepared:
    """Prepare videos: estimate the skeletons of the people in them, and keep cropped images.

    Args:
        videos: Folder of the videos, in any format that FFmpeg reads.
        labels: CSV file with the columns sample_id, label, subject, video (relative to the folder
            of the videos) and optionally camera, setup, split (train, val or test; subject may then
            be absent).
        store: Clip store to write: a folder, or a URI such as s3://bucket/folder.
        layout: Skeleton layout of the store: blazepose_33, kinect_v1_20, kinect_v1_20_utd or
            kinect_v2_25 (metres), or coco_17 (pixels). Default: that of the estimator,
            blazepose_33 or coco_17.
        estimator: Pose estimator: blazepose (33 joints in metres; `make poses` fetches it) or
            rtmlib (RTMPose or RTMO, 17 joints in pixels; pip install 'hhmnet-ray[rtmlib]').
        max_bodies: Largest number of people per clip, 1 to 32. The most active ones are kept.
        missing: Treatment of joints of low confidence while their body is visible: refuse leaves
            the clip out, hold repeats the last known position, interpolate draws a line between the
            known ones before and after.
        min_confidence: Smallest confidence of a known joint, 0 to 1.
        focal: Focal length of the camera, in pixels of the videos, which the distance of people in
            metres depends on. Default: the larger side of the images.
        stream: Video to store with the skeletons: rgb (images cropped around the joints) or none.
        video: Format of the stored videos.
        blazepose: Settings of the estimator blazepose.
        rtmlib: Settings of the estimator rtmlib.
        classes: Labels in the order of their numbers. Default: those of the CSV file, sorted.
        name: Name of the data set.
        on_error: Reaction to a video that is damaged, missing or shows nobody: fail stops,
            quarantine leaves it out and lists it in left_out.csv.
        workers: Number of processes that read. Default: one per CPU core. 1 needs no Ray.
        overwrite: Replace a store that was made from another source, or is damaged.

    Raises:
        InputError: The name, the CSV file or a setting cannot be used, a model is missing, no video
            can be used, or the store was made from another source, is damaged or cannot be written.
    """
    check_name(name, "data set name")
    config = choose_estimator(estimator, blazepose, rtmlib)
    recordings = Recordings(
        videos,
        labels,
        config,
        layout or "",
        classes or (),
        video if stream == "rgb" else None,
        max_bodies,
        missing,
        min_confidence,
        focal,
    )
    description = StoreDescription(
        name,
        recordings.layout,
        recordings.class_names,
        recordings.protocols,
        recordings.fingerprint(),
        Visual("rgb", video.frames, video.size) if stream == "rgb" else None,
        recordings.subject_names,
    )
    shard_clips = min(-(-len(recordings.names) // NUM_SHARDS), MAX_SHARD_CLIPS)
    recipe = Recipe(description, recordings, shard_clips, notes=recordings.notes)
    return prepare(recipe, store, on_error, overwrite, workers)
