"""One's own data: a table of clips, and a file of joints for each.

The table is a CSV with a head: `sample_id`, `label`, `subject` and `skeleton`, and, where they
apply, `camera`, `setup` (whole numbers), `split` (train or test) and `video` (a file, or empty). A
skeleton file is `.npy`, `.npz` or `.json` (nested lists): (T, V, C) for one body, (M, T, V, C) for
several. Where joints are 3D, a clip with video needs `.npz` with two arrays: `joints`, and
`pixels`, (T, V, 2) or (M, T, V, 2), where they are in the video; 2D joints are its pixels.
"""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder, split_uri
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.sources.video_crops import Image, NoVideoError, Timing, VideoConfig, decode_video
from hhmnet_core.sources.video_files import fingerprint, with_video
from hhmnet_core.store.clips import Clip, Float32Array, Int64Array, check_clip
from hhmnet_core.store.manifest import Protocol

NEEDED = ("sample_id", "label", "subject", "skeleton")
OPTIONAL = ("camera", "setup", "split", "video")
SPLITS = ("train", "test")


@dataclass(frozen=True)
class _Row:
    label: int
    subject: int
    camera: int
    setup: int
    skeleton: str
    video: str


class Recordings:
    """The clips of a table. Travels to processes.

    Args:
        index: URI of the table; skeletons are found from its folder, or by a URI of their own.
        layout: The skeletons' layout.
        classes: The labels in order; empty: those of the table, sorted, as numbers if they are.
        video: What is kept of videos, where the table has any.
        fps: The skeletons' frames a second; None: a clip's skeleton and video begin and end
            together.

    Attributes:
        names: The sample ids, sorted.
        class_names: The labels, in the order of their numbers.
        has_video: Whether the table has a column of videos.
        protocols: "given" by the column `split`, else "cross-subject": of the sorted subjects
            every second one tests.
        notes: What the user should know of it.

    Raises:
        InputError: No such table or layout, a column that is missing or unknown, a row that lacks
            a value, a label that is none of `classes`, a sample_id twice; names the line.
    """

    def __init__(
        self,
        index: str,
        layout: Layout,
        classes: Sequence[str] = (),
        video: VideoConfig | None = None,
        fps: float | None = None,
    ) -> None:
        self.index, self.layout = index, layout
        self.video, self.fps = video or VideoConfig(), fps
        if fps is not None and fps <= 0:
            raise InputError(f"fps must be above 0 frames a second, but is {fps}.")
        self._place, name = split_uri(index)
        try:
            self._table = self._place.read(name)
        except FileNotFoundError as error:
            raise InputError(f"There is no table at {index}: expected a CSV of clips.") from error
        rows = _rows(self._table, index)
        self.class_names = tuple(classes) or _in_order({row["label"] for _, row in rows})
        subjects = _in_order({row["subject"] for _, row in rows})
        # Numbers are kept; names are counted.
        self._subject_of = {
            said: int(said) if all(s.isdecimal() for s in subjects) else at
            for at, said in enumerate(subjects, start=1)
        }
        self._clips: dict[str, _Row] = {}
        for line, row in rows:
            where = f"{index}, line {line}"
            if row["sample_id"] in self._clips:
                raise InputError(f"{where}: sample_id {row['sample_id']} occurs twice.")
            self._clips[row["sample_id"]] = self._row(row, where)
        self.names = sorted(self._clips)
        self.has_video = "video" in rows[0][1]
        self.protocols, self.notes = self._protocols("split" in rows[0][1])

    def fingerprint(self) -> dict[str, str]:
        """What the store is made from: the table and its skeletons; videos by name and size."""
        skeletons, videos = hashlib.sha256(self._table), hashlib.sha256()
        skeletons.update(json.dumps(self.class_names).encode())
        for name in self.names:
            clip = self._clips[name]
            skeletons.update(f"{name}\0{self._of_file(clip.skeleton, _sha256)}\n".encode())
            videos.update(f"{name}\0{self._of_file(clip.video, Folder.size)}\n".encode())
        made = {"reader": "own/2", "layout": self.layout.name, "sha256": skeletons.hexdigest()}
        if not self.has_video:
            return made
        return made | fingerprint(self.video) | {"fps": str(self.fps), "videos": videos.hexdigest()}

    def _of_file(self, path: str, ask: Callable[[Folder, str], object]) -> object:
        try:
            return ask(*self._file(path)) if path else None
        except (OSError, ValueError, InputError):  # `clip` says what is wrong with it
            return "missing"

    def clip(self, name: str) -> Clip:
        """The clip of a sample id.

        Raises:
            InputError: A file that is missing, cannot be read, or is not of the layout; named.
        """
        row = self._clips[name]
        where = f"{row.skeleton} of {name} in {self.index}"
        joints, pixels = self._joints(row, where)
        clip = Clip(
            name,
            row.label,
            row.subject,
            row.camera,
            row.setup,
            joints,
            pixels if row.video else None,
        )
        try:
            check_clip(clip, self.layout, len(self.class_names))
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        return self._with_video(clip, row.video) if self.has_video else clip

    def _with_video(self, clip: Clip, path: str) -> Clip:
        if not path:
            return replace(clip, no_video="none in the table")
        pixels = clip.pixels if self.layout.channels == 3 else clip.joints
        if pixels is None:
            return replace(clip, no_video="its skeleton file has no pixels")
        timing = Timing.whole(clip.joints.shape[1], self.fps)

        def images(positions: Int64Array) -> list[Image]:
            try:
                place, file = self._file(path)
                content = place.read(file)
            except FileNotFoundError as error:
                raise NoVideoError(f"there is no file {path}") from error
            except (InputError, ValueError) as error:
                raise NoVideoError(str(error)) from error
            return decode_video(
                content, lambda images, rate: timing.images_at(positions, images, rate)
            )

        # A store's clips all have pixels of their own, or none.
        return replace(
            with_video(clip, images, lambda width, height: pixels, self.video), pixels=None
        )

    def _row(self, row: Mapping[str, str], where: str) -> _Row:
        if row["label"] not in self.class_names:
            known = ", ".join(self.class_names[:10])
            raise InputError(f"{where}: unknown label {row['label']!r}; the classes are {known}.")
        numbers = {"camera": 1, "setup": 0}
        for name in numbers:
            if name in row:
                if not row[name].isdecimal():
                    raise InputError(f"{where}: {name} {row[name]!r}, expected a whole number.")
                numbers[name] = int(row[name])
        if "split" in row:
            if row["split"] not in SPLITS:
                raise InputError(f"{where}: split {row['split']!r}, expected train or test.")
            numbers["setup"] = SPLITS.index(row["split"])
        return _Row(
            self.class_names.index(row["label"]),
            self._subject_of[row["subject"]],
            numbers["camera"],
            numbers["setup"],
            row["skeleton"],
            row.get("video", ""),
        )

    def _protocols(self, given: bool) -> tuple[dict[str, Protocol], tuple[str, ...]]:
        if given:
            rule = Protocol(train={"setup": [0]}, test={"setup": [1]})
            return {"given": rule}, ()
        subjects = sorted(set(self._subject_of.values()))
        if len(subjects) < 2:
            raise InputError(
                f"{self.index} has a single subject and no column split: nothing says which clips "
                "test; add the column."
            )
        note = f"there is no column split: subjects {_list(subjects[1::2])} test"
        rule = Protocol(train={"subject": subjects[::2]}, test={"subject": subjects[1::2]})
        return {"cross-subject": rule}, (note,)

    def _file(self, skeleton: str) -> tuple[Folder, str]:
        if "://" in skeleton or skeleton.startswith("/"):
            return split_uri(skeleton)
        return self._place, skeleton

    def _joints(self, row: _Row, where: str) -> tuple[Float32Array, Float32Array | None]:
        """(M, T, V, C) of a file; and (M, T, V, 2), where they are in the video, if it says so."""
        place, name = self._file(row.skeleton)
        try:
            content = place.read(name)
        except FileNotFoundError as error:
            raise InputError(f"{where}: there is no such file.") from error
        except ValueError as error:
            raise InputError(f"{where}: no file can have this name ({error}).") from error
        try:
            arrays = [np.ascontiguousarray(a, dtype=np.float32) for a in _arrays(content, name)]
        except (ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
            said = " ".join(str(error).split())
            raise InputError(
                f"{where} cannot be read ({said}): expected .npy, .npz or .json of numbers."
            ) from error
        joints, *pixels = [array[None] if array.ndim == 3 else array for array in arrays]
        return joints, pixels[0] if pixels else None


def _sha256(place: Folder, file: str) -> str:
    return hashlib.sha256(place.read(file)).hexdigest()


def _arrays(content: bytes, name: str) -> list[object]:
    """The joints, and their pixels where the file has them."""
    if name.endswith(".json"):
        return [json.loads(content)]
    loaded = np.load(io.BytesIO(content), allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return [loaded]
    if set(loaded.files) == {"joints", "pixels"}:
        return [loaded["joints"], loaded["pixels"]]
    if len(loaded.files) != 1:
        raise ValueError(
            f"it holds the arrays {', '.join(loaded.files)}, expected one, or joints and pixels"
        )
    return [loaded[loaded.files[0]]]


def _rows(table: bytes, index: str) -> list[tuple[int, dict[str, str]]]:
    """The rows with their lines."""
    try:
        reader = csv.DictReader(io.StringIO(table.decode("utf-8-sig")), strict=True)
        head = [str(name).strip() for name in reader.fieldnames or ()]
        if lacking := [name for name in NEEDED if name not in head]:
            raise InputError(
                f"{index} has no column {_list(lacking)}: expected {_list(NEEDED)} and, where they "
                f"apply, {_list(OPTIONAL)}; it has {_list(head) or 'none'}."
            )
        if unknown := [name for name in head if name not in (*NEEDED, *OPTIONAL)]:
            raise InputError(
                f"{index} has an unknown column {_list(unknown)}: expected {_list(NEEDED)} and, "
                f"where they apply, {_list(OPTIONAL)}."
            )
        if {"setup", "split"} <= set(head):
            raise InputError(
                f"{index} has both setup and split, which is kept as set-up: drop one."
            )
        reader.fieldnames = head
        rows = []
        for row in reader:
            if None in row:
                raise InputError(
                    f"{index}, line {reader.line_num}: more values than the {len(head)} columns."
                )
            values = {name: (row[name] or "").strip() for name in head}
            if lacking := [n for n, value in values.items() if not value and n != "video"]:
                raise InputError(f"{index}, line {reader.line_num}: no {_list(lacking)}.")
            rows.append((reader.line_num, values))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{index} is not a CSV in UTF-8 ({error}).") from error
    if not rows:
        raise InputError(f"{index} has no rows: expected a clip in each.")
    return rows


def _in_order(values: set[str]) -> tuple[str, ...]:
    numbers = all(value.isdecimal() for value in values)
    return tuple(sorted(values, key=lambda value: (int(value) if numbers else 0, value)))


def _list(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))
