"""Recordings of a user's own data set: a table of clips, and a file of joints for each.

The table is a CSV with the columns `sample_id`, `label`, `subject` and `skeleton` and, where they
apply, `camera`, `setup` (whole numbers), `split` (train, val or test) and `video` (a file, or
empty). A skeleton file is `.npy`, `.npz` or `.json` (nested lists): (T, V, C) for one body,
(M, T, V, C) for several, or in the order of axes that is given. With 3D joints a clip with video
needs an `.npz` of two arrays: `joints`, and `pixels`, of two coordinates, their positions in the
video. 2D joints are themselves these positions; a third coordinate is their confidence.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hhmnet_core.checks.memory import TEXT_EXPANSION
from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.files import locate, split_uri
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.skeleton.missing import Completed
from hhmnet_core.sources.own.poses import DEFAULT_READING, Poses, Reading
from hhmnet_core.sources.own.skeletons import MISSING, Skeletons
from hhmnet_core.sources.own.survey import (
    Measured,
    check_units,
    size_ratio,
)
from hhmnet_core.sources.own.table import parse_table
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.sources.video_decoding import Image, NoVideoError
from hhmnet_core.sources.video_files import attach_video, config_fingerprint, decode_frames
from hhmnet_core.sources.video_timing import Timing
from hhmnet_core.store.clips import Clip, Int64Array, check_clip
from hhmnet_core.store.manifest import MAX_SIZE_RATIO

_FEW = 3  # names in a note


class Recordings:
    """The clips of a table. It can be pickled.

    Args:
        index: URI of the table. Its files are given by URI, or by path from the table's folder.
        layout: Layout of the skeletons.
        classes: Labels in order. Empty: those of the table, sorted, as numbers if all are.
        video: Format of the stored videos, if the table has videos.
        fps: Frames per second of the skeletons. None: a clip's skeleton and video begin and end
            together.
        reading: Interpretation of skeleton files.

    Attributes:
        names: Sorted sample ids.
        class_names: Labels, in the order of their indices.
        has_video: True if the table has a column of videos.
        protocols: "given", from the column `split`; without it "cross-subject", which tests on
            every second of the sorted subjects.
        subject_names: Names of the subjects by number. Empty where the numbers are their names.

    Raises:
        InputError: No table, one that `parse_table` refuses, or `fps` not above 0.
    """

    def __init__(
        self,
        index: str,
        layout: Layout,
        classes: Sequence[str] = (),
        video: VideoConfig | None = None,
        fps: float | None = None,
        reading: Reading = DEFAULT_READING,
    ) -> None:
        self.index, self.layout, self.reading = index, layout, reading
        self.video, self.fps = video or VideoConfig(), fps
        if fps is not None and fps <= 0:
            raise InputError(f"fps must be above 0 frames a second, but is {fps}.")
        self._folder, name = split_uri(index)
        try:
            self._content = self._folder.read(name, TEXT_EXPANSION)
        except FileNotFoundError as error:
            raise InputError(f"There is no table at {index}: expected a CSV of clips.") from error
        table = parse_table(self._content, index, classes)
        self._rows, self.names = table.rows, list(table.rows)
        self.class_names, self.has_video = table.class_names, table.has_video
        self.protocols, names = table.protocols, table.subject_names
        self.subject_names = (
            names if any(str(number) != name for number, name in names.items()) else {}
        )
        self._table_notes = table.notes
        paths = [row.skeleton for row in self._rows.values()]
        self._skeletons = Skeletons(self._folder, paths, layout, reading)

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the source: table and skeletons; videos by name and size.

        Raises InputError where the files' axes may be in another order than they are read in.
        """
        skeletons, videos = hashlib.sha256(self._content), hashlib.sha256()
        skeletons.update(json.dumps(self.class_names).encode())
        for name, row in self._rows.items():
            digest = self._skeletons.survey.digests[row.skeleton]
            skeletons.update(f"{name}\0{digest}\n".encode())
            videos.update(f"{name}\0{self._video_size(row.video)}\n".encode())
        made = {"reader": "own/3", "layout": self.layout.name, "sha256": skeletons.hexdigest()}
        made |= {
            "axes": self.reading.axes,
            "missing": self.reading.missing,
            "min_confidence": str(self.reading.min_confidence),
        }
        if not self.has_video:
            return made
        made |= config_fingerprint(self.video)
        return made | {"fps": str(self.fps), "videos": videos.hexdigest()}

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on the source for the user."""
        return (*self._table_notes, *self._comparison.notes)

    @property
    def size_ratio(self) -> float:
        """Largest ratio of the bodies' sizes between subjects, or between the splits.

        Raises InputError where the bodies of some clips are in another unit than the others'.
        """
        return self._comparison.size_ratio

    @cached_property
    def _comparison(self) -> "_Comparison":
        survey = self._skeletons.survey
        ratio, notes = self._compare_sizes(survey.measured)
        if survey.zero:
            names = ", ".join(self.layout.joints[joint] for joint in sorted(survey.zero))
            notes += (f"joints that are zero in every frame of every file count as known: {names}",)
        return _Comparison(ratio, (*notes, *self._copies(survey.digests)))

    def _compare_sizes(self, measured: dict[str, Measured]) -> tuple[float, tuple[str, ...]]:
        sizes = {
            name: measured[row.skeleton].size
            for name, row in self._rows.items()
            if row.skeleton in measured
        }
        check_units(sizes, self.index)
        subjects = {
            name: f"subjects {self.subject_names.get(row.subject, row.subject)}"
            for name, row in self._rows.items()
        }
        largest, groups = size_ratio(sizes, subjects)
        if "given" in self.protocols:
            splits = {name: row.split for name, row in self._rows.items()}
            largest, groups = max((largest, groups), size_ratio(sizes, splits))
        if largest <= MAX_SIZE_RATIO:
            return largest, ()
        return largest, (
            f"bodies of {groups} differ in size by a factor of {largest:.1f} (median length of "
            "their bones): train with --data.normalise_size true",
        )

    def _copies(self, digests: dict[str, str]) -> tuple[str, ...]:
        """Return notes on clips of equal files under two labels or in two splits."""
        first: dict[str, str] = {}
        labels, splits = list[str](), list[str]()
        for name, row in self._rows.items():
            digest = digests[row.skeleton]
            other = first.setdefault(digest, name)
            if digest == MISSING or other == name:
                continue
            if self._rows[other].label != row.label:
                labels.append(f"{other} and {name}")
            if self._rows[other].split != row.split:
                splits.append(f"{other} and {name}")
        return tuple(
            f"{len(pairs)} clips have the skeleton of another clip {problem}: "
            f"{'; '.join(pairs[:_FEW])}{' ...' if len(pairs) > _FEW else ''}"
            for pairs, problem in ((labels, "with another label"), (splits, "in another split"))
            if pairs
        )

    def _video_size(self, path: str) -> object:
        try:
            folder, name = locate(self._folder, path) if path else (None, "")
            return folder.size(name) if folder else None
        except AccessError:
            raise
        except (OSError, ValueError, InputError):  # reading the clip reports it
            return MISSING

    def clip(self, name: str) -> Clip:
        """Read the clip of a sample id.

        Raises:
            InputError: The skeleton file is missing, unreadable, not of the layout, shows nobody,
                or lacks joints that are to be refused; the message names it.
        """
        row = self._rows[name]
        where = f"{row.skeleton} of {name} in {self.index}"
        poses, done = self._skeletons.read(row.skeleton, where)
        clip = Clip(
            sample_id=name,
            label=row.label,
            subject=row.subject,
            camera=row.camera,
            setup=row.setup,
            joints=done.joints,
            missing=done.missing if done.missing.any() else None,
            dropped=done.counts,
        )
        try:
            check_clip(clip, self.layout, len(self.class_names))
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        return self._with_video(clip, row.video, poses, done) if self.has_video else clip

    def _with_video(self, clip: Clip, path: str, poses: Poses, done: Completed) -> Clip:
        if not path:
            return replace(clip, no_video="none in the table")
        frames, stop = poses.joints.shape[1], done.first + clip.joints.shape[1]
        if self.layout.channels == 2:
            pixels = np.where(done.known[..., None], clip.joints, np.float32(np.nan))
        elif poses.pixels is None:
            return replace(clip, no_video="its skeleton file has no pixels")
        else:
            pixels = poses.pixels[list(done.bodies), done.first : stop]
        recorded = np.arange(done.first, stop, dtype=np.int64)
        timing = Timing(recorded, frames, self.fps, shown=stop)

        def read_images(positions: Int64Array) -> list[Image]:
            return decode_frames(self._read_video(path), positions, timing)

        return attach_video(clip, read_images, lambda width, height: pixels, self.video)

    def _read_video(self, path: str) -> bytes:
        try:
            folder, name = locate(self._folder, path)
            return folder.read(name, expansion=1)
        except FileNotFoundError as error:
            raise NoVideoError(f"there is no file {path}") from error
        except AccessError:
            raise
        except (InputError, ValueError) as error:
            raise NoVideoError(str(error)) from error


@dataclass(frozen=True)
class _Comparison:
    """What the clips tell about each other.

    Attributes:
        size_ratio: Largest ratio of the bodies' sizes between subjects, or between the splits.
        notes: Remarks for the user.
    """

    size_ratio: float
    notes: tuple[str, ...]
