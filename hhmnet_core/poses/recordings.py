"""Recordings of videos and a table of labels: skeletons that are estimated, as clips.

The table is a CSV as for one's own skeletons (`sources/own/table.py`) with the columns `sample_id`,
`label`, `subject` and `video` and, where they apply, `camera`, `setup` and `split`.

Axes: M bodies, T images, V joints of the store's layout.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from hhmnet_core.checks.memory import TEXT_EXPANSION
from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.files import Folder, folder, split_uri
from hhmnet_core.poses.contract import Estimator, EstimatorConfig
from hhmnet_core.poses.placing import place
from hhmnet_core.poses.tracks import PoseTracks, check_max_bodies
from hhmnet_core.poses.video import MAX_BODIES, poses_of_video
from hhmnet_core.skeleton.layout_maps import find_map
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.skeleton.missing import (
    MIN_CONFIDENCE,
    BoolArray,
    Completed,
    Float32Array,
    OnMissing,
    complete,
    known_joints,
)
from hhmnet_core.sources.own.table import parse_table
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.sources.video_decoding import Image, NoVideoError
from hhmnet_core.sources.video_files import attach_video, config_fingerprint, decode_frames
from hhmnet_core.sources.video_timing import Timing
from hhmnet_core.store.clips import Clip, Int64Array, check_clip

REQUIRED = ("sample_id", "label", "subject", "video")
OPTIONAL = ("camera", "setup", "split")
MAX_FOCAL = 1_000_000
_MISSING = "missing"


class Recordings:
    """The videos of a table. It can be pickled.

    Args:
        videos: URI of the folder of the videos.
        labels: URI of the table. Its videos are given by path from their folder, or by URI.
        estimator: Settings of the pose estimator.
        layout: Name of the store's layout. "": that of the estimator.
        classes: Labels in order. Empty: those of the table, sorted, as numbers if all are.
        video: Format of the stored images. None: the clips keep skeletons only.
        max_bodies: Largest number of bodies of a clip.
        missing: Treatment of joints that are missing while their body is present.
        min_confidence: Smallest confidence of a known joint.
        focal: Focal length of the camera, in pixels. None: the larger side of the images.

    Attributes:
        names: Sorted sample ids.
        class_names: Labels, in the order of their indices.
        layout: Layout of the clips.
        protocols: "given", from the column `split`; without it "cross-subject".
        subject_names: Names of the subjects by number. Empty where the numbers are their names.
        notes: Remarks for the user.

    Raises:
        InputError: No table, one that `parse_table` refuses, no folder of videos, no map from the
            estimator's layout, or a value out of range.
    """

    def __init__(
        self,
        videos: str,
        labels: str,
        estimator: EstimatorConfig,
        layout: str = "",
        classes: Sequence[str] = (),
        video: VideoConfig | None = None,
        max_bodies: int = MAX_BODIES,
        missing: OnMissing = "interpolate",
        min_confidence: float = MIN_CONFIDENCE,
        focal: float | None = None,
    ) -> None:
        check_max_bodies(max_bodies)
        if not 0 <= min_confidence <= 1:
            raise InputError(f"min_confidence must be 0 to 1, but is {min_confidence}.")
        if focal is not None and not 0 < focal <= MAX_FOCAL:
            raise InputError(
                f"focal must be above 0 and at most {MAX_FOCAL} pixels, but is {focal}."
            )
        self.labels, self.estimator, self.video = labels, estimator, video
        self.layout = get_layout(layout) if layout else estimator.layout
        find_map(estimator.layout.name, self.layout.name)
        self.max_bodies, self.focal = max_bodies, focal
        self.missing, self.min_confidence = missing, min_confidence
        self._folder, (place_of_table, name) = folder(videos), split_uri(labels)
        try:
            self._content = place_of_table.read(name, TEXT_EXPANSION)
        except FileNotFoundError as error:
            raise InputError(
                f"There is no table at {labels}: expected a CSV of videos and their labels."
            ) from error
        table = parse_table(self._content, labels, classes, REQUIRED, OPTIONAL)
        self._rows, self.names = table.rows, list(table.rows)
        is_needed = any(_is_relative(row.video) for row in table.rows.values())
        if is_needed and not self._folder.names():
            raise InputError(f"There is nothing at {videos}: expected a folder of videos.")
        self.class_names, self.protocols = table.class_names, table.protocols
        numbered = all(str(number) == name for number, name in table.subject_names.items())
        self.subject_names = {} if numbered else table.subject_names
        self.notes = table.notes
        self._estimator: Estimator | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the networks: each process loads its own."""
        return {**vars(self), "_estimator": None}

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the source: table and estimator; videos by name and size.

        Raises InputError where a model or a package is missing.
        """
        table, videos = hashlib.sha256(self._content), hashlib.sha256()
        table.update(json.dumps(self.class_names).encode())
        for name, row in self._rows.items():
            videos.update(f"{name}\0{row.video}\0{self._size(row.video)}\n".encode())
        return {
            "reader": "poses/1",
            "layout": self.layout.name,
            "sha256": table.hexdigest(),
            "videos": videos.hexdigest(),
            **self.estimator.fingerprint(),
            "max_bodies": str(self.max_bodies),
            "missing": self.missing,
            "min_confidence": str(self.min_confidence),
            "focal": str(self.focal),
            **(config_fingerprint(self.video) if self.video else {}),
        }

    def _size(self, path: str) -> object:
        try:
            where, name = self._locate(path)
            return where.size(name)
        except AccessError:
            raise
        except (OSError, ValueError, InputError):  # reading the clip reports it
            return _MISSING

    def clip(self, name: str) -> Clip:
        """Return the clip of a sample id.

        Raises:
            InputError: The video is missing, not a whole video, or shows nobody, or joints are
                missing and to be refused. The message names it.
        """
        row = self._rows[name]
        where = f"{row.video} of {name}"
        content = self._read(row.video, where)
        try:
            tracks = poses_of_video(content, self._open_estimator(), self.max_bodies)
        except NoVideoError as error:
            raise InputError(f"{where} cannot be used: {error}.") from error
        if not tracks.num_bodies:
            raise InputError(
                f"{where} shows nobody: no person was found in its {tracks.num_frames} images; "
                f"{self.estimator.advice}."
            )
        joints, pixels, confidence = self._in_layout(tracks)
        known = known_joints(joints, frozenset(), confidence, self.min_confidence)
        done = complete(joints, known, self.layout, self.missing, where)
        pixels = np.where(known[..., None], pixels, np.float32(np.nan))
        pixels = pixels[list(done.bodies), done.first : done.first + done.joints.shape[1]]
        clip = Clip(
            sample_id=name,
            label=row.label,
            subject=row.subject,
            camera=row.camera,
            setup=row.setup,
            joints=done.joints,
            pixels=np.ascontiguousarray(pixels) if self.layout.channels == 3 else None,
            missing=done.missing if done.missing.any() else None,
            dropped=tracks.dropped | done.counts,
        )
        check_clip(clip, self.layout, len(self.class_names))
        if self.video is None:
            return clip
        return _with_images(clip, content, pixels, tracks, done, self.video)

    def _in_layout(self, tracks: PoseTracks) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Return joints, pixels and confidence in the store's layout."""
        mapping = find_map(tracks.layout.name, self.layout.name)
        known: BoolArray = np.all(np.isfinite(tracks.pixels), -1)
        pixels = mapping.joints(tracks.pixels, known)
        confidence = mapping.confidence(tracks.confidence)
        if self.layout.channels == 2:
            return pixels, pixels, confidence
        return mapping.joints(place(tracks, self.focal), known), pixels, confidence

    def _open_estimator(self) -> Estimator:
        if self._estimator is None:
            try:
                self._estimator = self.estimator.open()
            except InputError as error:
                # No fault of the video: it must not be left out for it.
                raise AccessError(str(error)) from error
        return self._estimator

    def _read(self, path: str, where: str) -> bytes:
        location, name = self._locate(path)
        try:
            return location.read(name, expansion=1)
        except FileNotFoundError as error:
            raise InputError(f"{where}: there is no such file in {location.uri}.") from error

    def _locate(self, path: str) -> tuple[Folder, str]:
        """Return folder and name of a video given by URI, or by path from the videos' folder."""
        return (self._folder, path) if _is_relative(path) else split_uri(path)


def _is_relative(path: str) -> bool:
    return not ("://" in path or path.startswith("/"))


def _with_images(
    clip: Clip,
    content: bytes,
    pixels: Float32Array,
    tracks: PoseTracks,
    done: Completed,
    config: VideoConfig,
) -> Clip:
    """Return the clip with images of its video, cropped around the joints."""
    stop = done.first + clip.joints.shape[1]
    timing = Timing(np.arange(done.first, stop, dtype=np.int64), tracks.num_frames)

    def read_images(positions: Int64Array) -> list[Image]:
        return decode_frames(content, positions, timing)

    return attach_video(clip, read_images, lambda width, height: pixels, config)
