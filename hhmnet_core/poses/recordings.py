"""Recordings of videos and a table of labels: skeletons that are estimated, as clips.

The table is a CSV as for one's own skeletons (`sources/own/table.py`) with the columns `sample_id`,
`label`, `subject` and `video` and, where they apply, `camera`, `setup` and `split`.

Axes: M bodies, T images, V joints of the store's layout.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from hhmnet_core.checks.memory import TEXT_EXPANSION
from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.files import Folder, folder, locate, split_uri
from hhmnet_core.poses.clips import PoseReading, clip_of_tracks
from hhmnet_core.poses.contract import Estimator, EstimatorConfig
from hhmnet_core.poses.tracks import check_max_bodies
from hhmnet_core.poses.video import MAX_BODIES, poses_of_video
from hhmnet_core.skeleton.layout_maps import find_map
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.skeleton.missing import (
    MIN_CONFIDENCE,
    OnMissing,
)
from hhmnet_core.sources.own.table import parse_table
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.sources.video_decoding import NoVideoError
from hhmnet_core.sources.video_files import config_fingerprint
from hhmnet_core.store.clips import Clip, check_clip

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
        self.max_bodies = max_bodies
        self._reading = PoseReading(missing, min_confidence, focal)
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
            **{name: str(value) for name, value in asdict(self._reading).items()},
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
        posed = clip_of_tracks(tracks, self.layout, where, self._reading)
        posed = replace(
            posed,
            clip=replace(
                posed.clip,
                sample_id=name,
                label=row.label,
                subject=row.subject,
                camera=row.camera,
                setup=row.setup,
            ),
        )
        check_clip(posed.clip, self.layout, len(self.class_names))
        return posed.clip if self.video is None else posed.with_images(content, self.video)

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
        return locate(self._folder, path)


def _is_relative(path: str) -> bool:
    return not ("://" in path or path.startswith("/"))
