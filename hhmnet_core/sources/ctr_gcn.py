"""Arrays of CTR-GCN (Chen et al., ICCV 2021) and those who use its scripts: NTU60_CS.npz and such.

A file holds `x_train` and `x_test`, (N, T, M * V * C) float32, padded with zeros to T = 300 frames
and M = 2 bodies, and `y_train` and `y_test`, (N, K), one-hot. Clips are centred on a joint of their
first frame, which is exactly zero there. The files of NTU RGB+D have 7 to 11 GB: they are read from
the first row to the last, one row in memory at a time.
"""

import errno
import hashlib
import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.checks.memory import check_file_memory
from hhmnet_core.checks.npy_header import MALFORMED, read_npy_header
from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.files import split_uri
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.skeleton.missing import complete
from hhmnet_core.sources.numbered_classes import NUMBERED_NOTE, name_classes
from hhmnet_core.sources.split_codes import Membership, drawn_val_note, encode_splits
from hhmnet_core.store.clips import Clip, Float32Array, Int64Array, check_clip

LAYOUT = "kinect_v2_25"
PROTOCOL = "given"
_SPLITS = ("train", "test")
_MEMBERS = tuple(f"{kind}_{split}" for kind in "xy" for split in _SPLITS)
_EXPECTED = "expected an .npz of CTR-GCN with x_train, y_train, x_test and y_test"


class Recordings:
    """The clips of an `.npz`, to be read in the order of their names; use it in a `with` block.

    Args:
        source: URI of the file.
        layout: Layout of the skeletons.
        classes: Labels in order. Empty: their numbers.
        seed: Seed of the draw of val, since the file names no subjects.

    Attributes:
        names: Names of the clips: split and row, such as train-00012.
        class_names: Labels, in the order of their indices.
        protocols: The split of the file.
        notes: Remarks for the user.

    Raises:
        InputError: No file, no such arrays, or labels that are not one-hot.
    """

    def __init__(
        self, source: str, layout: Layout, classes: Sequence[str] = (), seed: int = 1
    ) -> None:
        self.source, self.layout, self._seed = source, layout, seed
        folder, name = split_uri(source)
        try:
            self._file: IO[bytes] = folder.fs.open(folder.at(name), "rb")
            self._zip = zipfile.ZipFile(self._file)
        except FileNotFoundError as error:
            raise InputError(f"There is no file at {source}: {_EXPECTED}.") from error
        except (zipfile.BadZipFile, RuntimeError) as error:
            raise InputError(f"{source} is not a whole .npz ({error}): {_EXPECTED}.") from error
        except OSError as error:
            raise AccessError(f"{source} cannot be read ({error}): try again.") from error
        members = {each.filename: each for each in self._zip.infolist()}
        if missing := [each for each in _MEMBERS if f"{each}.npy" not in members]:
            raise InputError(f"{source} has no {', '.join(missing)}: {_EXPECTED}.")
        self._checksums = {each: f"{members[f'{each}.npy'].CRC:08x}" for each in _MEMBERS}
        labels = {split: self._read_labels(split) for split in _SPLITS}
        self._rows = {split: _Rows(self._zip, f"x_{split}.npy", source) for split in _SPLITS}
        self._bodies = self._check_width()
        self._row_of: dict[str, tuple[str, int]] = {}
        for split in _SPLITS:
            if len(labels[split]) != self._rows[split].count:
                raise InputError(
                    f"{source} has {self._rows[split].count} rows in x_{split}, but "
                    f"{len(labels[split])} in y_{split}."
                )
            digits = len(str(max(self._rows[split].count - 1, 0)))
            for row in range(self._rows[split].count):
                self._row_of[f"{split}-{row:0{digits}}"] = (split, row)
        self.names = list(self._row_of)
        self._labels = {n: int(labels[split][row]) for n, (split, row) in self._row_of.items()}
        self.class_names = name_classes(self._labels.values(), classes, source)
        by_split = {
            split: frozenset(n for n, at in self._row_of.items() if at[0] == split)
            for split in _SPLITS
        }
        self._setup_of, self.protocols = encode_splits(
            self._labels, {PROTOCOL: Membership(by_split["train"], by_split["test"])}, seed
        )
        self.notes = (drawn_val_note(seed), *([] if classes else [NUMBERED_NOTE]))

    def __enter__(self) -> "Recordings":
        return self

    def __exit__(self, *_: object) -> None:
        for rows in self._rows.values():
            rows.close()
        self._zip.close()
        self._file.close()

    @property
    def dataset(self) -> str:
        """Name of the data set, from that of the file."""
        return PurePosixPath(self.source).stem

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the source: the checksums of its arrays, which the zip holds."""
        return {
            "reader": "ctr_gcn/1",
            "layout": self.layout.name,
            "files": hashlib.sha256(repr(self._checksums).encode()).hexdigest(),
            "classes": "\n".join(self.class_names),
            "seed": str(self._seed),
        }

    def clip(self, name: str) -> Clip:
        """Return a clip. Raises InputError, naming it, where its row shows nobody."""
        split, row = self._row_of[name]
        where = f"{name} in {self.source}"
        layout = self.layout
        row_t = self._rows[split].read(row)
        joints = row_t.reshape(-1, self._bodies, layout.num_joints, layout.channels)
        joints = np.ascontiguousarray(joints.transpose(1, 0, 2, 3))
        if not np.isfinite(joints).all():
            raise InputError(f"{where} holds a number that is NaN or infinite: get it again.")
        present_mt = (joints != 0).any((2, 3))
        known = np.repeat(present_mt[..., None], layout.num_joints, -1)
        done = complete(joints, known, layout, "hold", where)
        clip = Clip(
            sample_id=name,
            label=self._labels[name],
            subject=0,
            camera=1,
            setup=self._setup_of[name],
            joints=done.joints,
            missing=done.missing if done.missing.any() else None,
            dropped=done.counts,
        )
        check_clip(clip, layout, len(self.class_names))
        return clip

    def _read_labels(self, split: str) -> Int64Array:
        rows = _Rows(self._zip, f"y_{split}.npy", self.source)
        check_file_memory(rows.count * rows.row_bytes, f"y_{split} in {self.source}")
        table = np.stack([rows.read(row).ravel() for row in range(rows.count)])
        rows.close()
        if table.shape[1] == 1:
            labels = table[:, 0]
            if (labels != np.floor(labels)).any() or labels.min() < 0:
                raise InputError(
                    f"{self.source} has labels in y_{split} that are no whole numbers."
                )
            return labels.astype(np.int64)
        if not ((table == 0) | (table == 1)).all() or not (table.sum(1) == 1).all():
            raise InputError(
                f"{self.source}: y_{split} of shape {table.shape} is not one-hot, expected a 1 in "
                "each row and 0 elsewhere."
            )
        found: Int64Array = table.argmax(1).astype(np.int64)
        return found

    def _check_width(self) -> int:
        """Return the number of bodies in a row."""
        width = max(rows.row_shape[-1] for rows in self._rows.values())
        one = self.layout.num_joints * self.layout.channels
        shapes = ", ".join(str(rows.shape) for rows in self._rows.values())
        if width % one or any(
            len(rows.row_shape) != 2 or rows.row_shape[-1] != width for rows in self._rows.values()
        ):
            raise InputError(
                f"{self.source} has x of shape {shapes}, expected (clips, frames, bodies x "
                f"{self.layout.num_joints} joints x {self.layout.channels}) of layout "
                f"{self.layout.name}: give --layout."
            )
        return width // one


class _Rows:
    """The rows of an array in a zip, read forwards; going back begins at its start again."""

    def __init__(self, archive: zipfile.ZipFile, name: str, source: str) -> None:
        self._archive, self._name, self._where = archive, name, f"{name} in {source}"
        self._file: IO[bytes] | None = None
        self._next = 0
        with self._errors_named():
            with archive.open(name) as file:
                self.shape, is_fortran, self._dtype = read_npy_header(file)
            if is_fortran and len(self.shape) > 1:
                raise ValueError("it is stored by columns: save it with np.ascontiguousarray")
            if not math.prod(self.shape or (0,)) or self._dtype.kind not in "fiu":
                raise ValueError(f"it is of shape {self.shape} and type {self._dtype}")
            self.count, self.row_shape = self.shape[0], self.shape[1:] or (1,)
            self.row_bytes = math.prod(self.row_shape) * self._dtype.itemsize
            if self.count * self.row_bytes > archive.getinfo(name).file_size:
                raise ValueError(f"it is too short for the shape {self.shape}")
        check_file_memory(self.row_bytes, f"a row of {self._where}")

    def read(self, row: int) -> Float32Array:
        """Return a row as float32."""
        with self._errors_named():
            if self._file is None or row < self._next:
                self.close()
                self._file, self._next = self._archive.open(self._name), 0
                read_npy_header(self._file)
            while self._next <= row:
                content = self._file.read(self.row_bytes)
                self._next += 1
            if len(content) < self.row_bytes:
                raise ValueError(f"it ends in row {row} of {self.count}")
            values: NDArray[Any] = np.frombuffer(content, self._dtype)
            with np.errstate(over="ignore"):  # what float32 cannot hold is refused as infinite
                return values.astype(np.float32).reshape(self.row_shape)

    def close(self) -> None:
        if self._file:
            self._file.close()
        self._file = None

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except (InputError, AccessError):
            raise
        except MALFORMED as error:
            if isinstance(error, OSError) and error.errno == errno.EIO:
                raise AccessError(f"{self._where} cannot be read ({error}): try again.") from error
            raise InputError(f"{self._where} cannot be read ({error}): {_EXPECTED}.") from error
