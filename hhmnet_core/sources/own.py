"""A user's own data set: a table of clips, and a file of joints for each.

The table is a CSV with the columns `sample_id`, `label`, `subject` and `skeleton` and, where they
apply, `camera`, `setup` (whole numbers), `split` (train or test) and `video` (a file, or empty). A
skeleton file is `.npy`, `.npz` or `.json` (nested lists): (T, V, C) for one body, (M, T, V, C) for
several. With 3D joints a clip with video needs an `.npz` of two arrays: `joints`, and `pixels`,
(T, V, 2) or (M, T, V, 2), their positions in the video. 2D joints are themselves these positions.
"""

import hashlib
import io
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.checks.memory import TEXT_EXPANSION, check_file_memory
from hhmnet_core.checks.parsing import parse_json
from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.files import Folder, split_uri
from hhmnet_core.passwords import one_line
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.sources.own_table import ClipRow, parse_table
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.sources.video_decoding import Image, NoVideoError
from hhmnet_core.sources.video_files import attach_video, config_fingerprint, decode_frames
from hhmnet_core.sources.video_timing import Timing
from hhmnet_core.store.clips import Clip, Float32Array, Int64Array, check_clip

_ZIP = b"PK"
_FLOAT32_BYTES = 4
_BYTES_PER_BYTE = 2  # the file, and its joints as float32
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# Errors of NumPy, zipfile and parsers for malformed content.
_NO_ARRAYS = (
    ValueError, TypeError, ArithmeticError, EOFError, OSError, RuntimeError, MemoryError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class Recordings:
    """The clips of a table. It can be pickled.

    Args:
        index: URI of the table. Its files are given by URI, or by path from the table's folder.
        layout: Layout of the skeletons.
        classes: Labels in order. Empty: those of the table, sorted, as numbers if all are.
        video: Format of the stored videos, if the table has videos.
        fps: Frames per second of the skeletons. None: a clip's skeleton and video begin and end
            together.

    Attributes:
        names: Sorted sample ids.
        class_names: Labels, in the order of their indices.
        has_video: True if the table has a column of videos.
        protocols: "given", from the column `split`; without it "cross-subject", which tests on
            every second of the sorted subjects.
        notes: Remarks for the user.

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
    ) -> None:
        self.index, self.layout = index, layout
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
        self.protocols, self.notes = table.protocols, table.notes

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the source: table and skeletons; videos by name and size."""
        skeletons, videos = hashlib.sha256(self._content), hashlib.sha256()
        skeletons.update(json.dumps(self.class_names).encode())
        for name, row in self._rows.items():
            skeletons.update(f"{name}\0{self._of_file(row.skeleton, _sha256)}\n".encode())
            videos.update(f"{name}\0{self._of_file(row.video, Folder.size)}\n".encode())
        made = {"reader": "own/2", "layout": self.layout.name, "sha256": skeletons.hexdigest()}
        if not self.has_video:
            return made
        made |= config_fingerprint(self.video)
        return made | {"fps": str(self.fps), "videos": videos.hexdigest()}

    def _of_file(self, path: str, measure: Callable[[Folder, str], object]) -> object:
        try:
            return measure(*self._locate(path)) if path else None
        except AccessError:
            raise
        except (OSError, ValueError, InputError):  # reading the clip reports it
            return "missing"

    def clip(self, name: str) -> Clip:
        """Read the clip of a sample id.

        Raises:
            InputError: The skeleton file is missing, unreadable, or not of the layout; the message
                names it.
        """
        row = self._rows[name]
        where = f"{row.skeleton} of {name} in {self.index}"
        joints, pixels = self._read_joints(row, where)
        # The clips of a store all have pixels, or none: they are kept for the video alone.
        clip = Clip(
            sample_id=name,
            label=row.label,
            subject=row.subject,
            camera=row.camera,
            setup=row.setup,
            joints=joints,
            pixels=pixels if row.video else None,
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

        def read_images(positions: Int64Array) -> list[Image]:
            return decode_frames(self._read_video(path), positions, timing)

        filmed = attach_video(clip, read_images, lambda width, height: pixels, self.video)
        return replace(filmed, pixels=None)

    def _read_video(self, path: str) -> bytes:
        try:
            folder, name = self._locate(path)
            return folder.read(name, expansion=1)
        except FileNotFoundError as error:
            raise NoVideoError(f"there is no file {path}") from error
        except AccessError:
            raise
        except (InputError, ValueError) as error:
            raise NoVideoError(str(error)) from error

    def _read_joints(self, row: ClipRow, where: str) -> tuple[Float32Array, Float32Array | None]:
        """Return joints (M, T, V, C) and, if the file holds them, pixels (M, T, V, 2)."""
        folder, name = self._locate(row.skeleton)
        is_json = name.endswith(".json")
        try:
            content = folder.read(name, TEXT_EXPANSION if is_json else _BYTES_PER_BYTE)
        except FileNotFoundError as error:
            raise InputError(f"{where}: there is no such file.") from error
        try:
            values = [parse_json(content)] if is_json else _arrays(content, where)
            arrays = [np.ascontiguousarray(each, dtype=np.float32) for each in values]
        except _NO_ARRAYS as error:
            reason = one_line(error)
            raise InputError(
                f"{where} cannot be read ({reason}): expected .npy, .npz or .json of numbers."
            ) from error
        joints, *pixels = [array[None] if array.ndim == 3 else array for array in arrays]
        return joints, pixels[0] if pixels else None

    def _locate(self, path: str) -> tuple[Folder, str]:
        """Return folder and name of a file given by URI, or by path from the table's folder."""
        if "://" in path or path.startswith("/"):
            return split_uri(path)
        return self._folder, path


def _sha256(folder: Folder, name: str) -> str:
    with folder.open(name) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _arrays(content: bytes, where: str) -> list[NDArray[Any]]:
    """Return the joints of a .npy or .npz file and, if it holds them, their pixels."""
    if not content.startswith(_ZIP):
        _check_array(io.BytesIO(content), where)
        return [np.load(io.BytesIO(content), allow_pickle=False)]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {each.filename.removesuffix(".npy"): each for each in archive.infolist()}
        names = ["joints", "pixels"] if set(members) == {"joints", "pixels"} else list(members)
        if len(names) != 1 and names != ["joints", "pixels"]:
            raise ValueError(
                f"it holds the arrays {', '.join(names)}, expected one, or joints and pixels"
            )
        check_file_memory(sum(each.file_size for each in members.values()), where)
        for name in names:
            with archive.open(members[name]) as file:
                _check_array(file, where)
    with np.load(io.BytesIO(content), allow_pickle=False) as loaded:
        return [loaded[name] for name in names]


def _check_array(file: IO[bytes], where: str) -> None:
    """Check the size that the header of a .npy file claims, against the limit of memory."""
    read_header = _HEADERS.get(np.lib.format.read_magic(file))
    if read_header is None:
        raise ValueError("it is of an unknown version of .npy")
    shape, _, dtype = read_header(file)
    check_file_memory(math.prod(shape) * (dtype.itemsize + _FLOAT32_BYTES), where)
