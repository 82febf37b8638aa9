"""One memory-mapped Arrow file per node and store, shared by all processes of the node.

The file is named by the store's digest, so it never goes stale. It holds one record batch of one
row: each column is a list of a clip set's values, end to end.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hhmnet_core.checks.parsing import parse_json
from hhmnet_core.disk_space import free_space, is_disk_full
from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder, folder, write_local
from hhmnet_core.identity import canonical
from hhmnet_core.store.clips import BoolArray, Clip, ClipSet, Float32Array
from hhmnet_core.store.manifest import Manifest

_SKELETONS = b"hhmnet.skeletons"
_FACTS = ("labels", "subjects", "cameras", "setups", "num_frames", "num_bodies", "first_frame")
_SCHEMA = pa.schema(
    [
        pa.field("sample_ids", pa.large_list(pa.large_string())),
        *(pa.field(name, pa.large_list(pa.int64())) for name in _FACTS),
        pa.field("frames", pa.large_list(pa.float32())),
    ]
)
_MISSING = pa.field("missing", pa.large_list(pa.uint8()))  # of stores with missing joints


@dataclass(frozen=True)
class NodeCache:
    """The folder of a node's cached stores.

    Attributes:
        root: Path of the folder.
    """

    root: Path

    @staticmethod
    def at(folder: str | os.PathLike[str] | None) -> "NodeCache":
        """Return the cache in `folder`, by default $HHMNET_CACHE or `~/.cache/hhmnet`."""
        default = os.environ.get("HHMNET_CACHE") or Path("~/.cache/hhmnet")
        cache = NodeCache(Path(default if folder is None else folder).expanduser())
        with cache.usable():
            cache.root.mkdir(parents=True, exist_ok=True)
        return cache

    @contextmanager
    def lock(self, digest: str) -> Iterator[None]:
        """Keep other processes of the node off the file of a store."""
        with self.usable():
            file = open(self.root / f"{digest}.lock", "a")
        with file:
            # Without locks (on some network file systems) each process writes a file of its own,
            # and the last one to rename it wins: wasteful, but never wrong.
            with suppress(OSError, ImportError):
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def holds(self, digest: str) -> bool:
        """Return whether there is a file of a store, complete or not."""
        return self._file(digest).exists()

    def map(self, manifest: Manifest) -> ClipSet | None:
        """Return the clip set mapped from its file.

        None where there is no complete file, or one that has changed since it was written.
        """
        try:
            if self._version_file(manifest.digest).read_text() != self._version(manifest.digest):
                return None
            with pa.memory_map(str(self._file(manifest.digest))) as source:
                row = pa.ipc.open_file(source).get_batch(0)
            columns = {name: row.column(name).values for name in _SCHEMA.names}
            skeletons = row.schema.metadata[_SKELETONS].decode()
            marked = row.column(_MISSING.name).values if _MISSING.name in row.schema.names else None
        except (OSError, ValueError, pa.ArrowException, KeyError, IndexError):
            return None
        layout = manifest.skeleton
        flat: Float32Array = columns["frames"].to_numpy(zero_copy_only=True)
        facts = {name: columns[name].to_numpy() for name in _FACTS}
        num_floats = layout.num_joints * layout.channels
        frames = int((facts["num_frames"] * facts["num_bodies"]).sum())
        if len(facts["labels"]) != manifest.num_clips or flat.size != frames * num_floats:
            return None
        missing: BoolArray | None = None
        if marked is not None:
            missing = marked.to_numpy().view(np.bool_).reshape(frames, layout.num_joints)
        return ClipSet(
            manifest=manifest,
            skeletons=skeletons,
            sample_ids=np.array(columns["sample_ids"].to_pylist(), dtype=np.str_),
            frames=flat.reshape(frames, layout.num_joints, layout.channels),
            missing=missing,
            **facts,
        )

    def fill(self, manifest: Manifest, clips: Iterable[Clip]) -> None:
        """Write the file of a store, with one clip in memory at a time."""
        target = self._file(manifest.digest)
        raw, done = (
            self.root / f".{target.name}.{uuid.uuid4().hex}.{stage}" for stage in ("raw", "new")
        )
        try:
            with self.usable():
                row = self._collect(manifest, clips, raw)
                with pa.OSFile(str(done), "wb") as sink, pa.ipc.new_file(sink, row.schema) as file:
                    file.write_batch(row)
                os.replace(done, target)
                version = self._version(manifest.digest).encode()
                write_local(self._version_file(manifest.digest), version)
        finally:
            raw.unlink(missing_ok=True)
            done.unlink(missing_ok=True)

    def _collect(self, manifest: Manifest, clips: Iterable[Clip], raw: Path) -> pa.RecordBatch:
        skeletons = hashlib.sha256(canonical(manifest.rules()))
        ids: list[str] = []
        facts: dict[str, list[int]] = {name: [] for name in _FACTS}
        marks: dict[int, BoolArray] = {}  # by first frame
        frames = 0
        with open(raw, "wb") as file:
            for clip in clips:
                bodies, length = clip.joints.shape[:2]
                ids.append(clip.sample_id)
                values = (clip.label, clip.subject, clip.camera, clip.setup, length, bodies, frames)
                for name, value in zip(_FACTS, values, strict=True):
                    facts[name].append(value)
                joints = np.ascontiguousarray(clip.joints)
                file.write(joints.data)
                skeletons.update(canonical([clip.sample_id, *values[:-1]]))
                skeletons.update(joints.data)
                if clip.missing is not None:
                    skeletons.update(np.ascontiguousarray(clip.missing).data)
                    marks[frames] = clip.missing.reshape(bodies * length, -1)
                frames += bodies * length
        flat = pa.py_buffer(np.memmap(raw, dtype=np.uint8, mode="r"))
        columns = [
            pa.array(ids, pa.large_string()),
            *(pa.array(facts[name], pa.int64()) for name in _FACTS),
            pa.Array.from_buffers(pa.float32(), flat.size // 4, [None, flat]),
        ]
        schema = _SCHEMA
        if marks:
            schema = schema.append(_MISSING)
            columns.append(pa.array(_marked_frames(marks, frames)))
        rows = [pa.LargeListArray.from_arrays([0, len(column)], column) for column in columns]
        schema = schema.with_metadata({_SKELETONS: skeletons.hexdigest()})
        return pa.RecordBatch.from_arrays(rows, schema=schema)

    def verified_versions(self, digest: str, store: Folder) -> dict[str, str]:
        """Return the versions of a store's shards when they were last verified on this node."""
        try:
            known = parse_json(self._versions_file(digest, store).read_text())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def record_versions(self, digest: str, store: Folder, versions: dict[str, str]) -> None:
        """Record the versions of a store's shards that have been verified."""
        with self.usable():
            write_local(self._versions_file(digest, store), json.dumps(versions).encode())

    def _file(self, digest: str) -> Path:
        return self.root / f"{digest}.v2.arrow"

    def _version(self, digest: str) -> str:
        """Return a token that changes with the file of a store."""
        return folder(self.root).version(self._file(digest).name)

    def _version_file(self, digest: str) -> Path:
        return self._file(digest).with_suffix(".version")

    def _versions_file(self, digest: str, store: Folder) -> Path:
        address = hashlib.sha256(f"{store.fs.protocol}:{store.path}".encode()).hexdigest()
        return self.root / f"{digest}.{address[:16]}.json"

    @contextmanager
    def usable(self) -> Iterator[None]:
        """Turn errors of the system about the folder into InputError."""
        try:
            yield
        except OSError as error:
            free = f"; {free_space(self.root)}" if is_disk_full(error) else ""
            raise InputError(
                f"The cache folder {self.root} cannot be used ({error.strerror or error}{free}): "
                "point HHMNET_CACHE, or HOME where that is not set, at a local folder with space "
                "that you may write to."
            ) from error


def _marked_frames(marks: dict[int, BoolArray], frames: int) -> NDArray[np.uint8]:
    """Return the marks (F * V,) of all frames from those of some clips, by their first frame."""
    num_joints = next(iter(marks.values())).shape[1]
    marked = np.zeros((frames, num_joints), np.uint8)
    for first, missing in marks.items():
        marked[first : first + len(missing)] = missing
    return marked.ravel()
