"""Videos of a clip store for training: mapped from one file per node, decoded batch by batch.

Axes: N clips, n clips of a batch, M bodies, F images of S x S pixels in C channels, V joints.
"""

import os
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.inputs.memory import fits_in_memory
from hhmnet_core.inputs.transfer import to_device
from hhmnet_core.notices import watched
from hhmnet_core.store.clips import Clip, Int64Array, Video
from hhmnet_core.store.manifest import Manifest, Visual
from hhmnet_core.store.node_cache import NodeCache
from hhmnet_core.store.protocols import LITERATURE, Split
from hhmnet_core.store.reading import Uri, read_manifest
from hhmnet_core.store.shards import decode_shard, read_shard

DECODED_AT_ONCE = 256  # clips, while all are decoded

_SCHEMA = pa.schema(
    [
        pa.field("images", pa.large_list(pa.large_binary())),
        pa.field("positions", pa.large_list(pa.int64())),
        pa.field("joints", pa.large_list(pa.float32())),
        pa.field("bodies", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Footage:
    """The videos of all clips of a store, in the order of `load_clips`.

    Attributes:
        visual: Stream, number and size of the images.
        has_video_n: (N,) which clips have a video.
        positions_nf: (N, F) frames that the images show. 0 for clips without video.
        joints_nmfv2: (N, M, F, V, 2) float32 joints, in shares of the image. NaN for unknown
            joints, absent bodies and clips without video.
        files: (N,) lists of the clips' JPEG files, mapped from the node's file.
    """

    visual: Visual
    has_video_n: NDArray[np.bool_]
    positions_nf: Int64Array
    joints_nmfv2: NDArray[np.float32]
    files: pa.ChunkedArray

    def __len__(self) -> int:
        return len(self.has_video_n)

    def decode(self, index: int) -> NDArray[np.uint8]:
        """Return the images of a clip, (F, S, S, 3). Grey ones are equal in all channels."""
        import simplejpeg  # the pixels that Pillow gives, in less than half of the time

        images = [memoryview(image.as_buffer()).cast("B") for image in self.files[index].values]
        return np.stack([simplejpeg.decode_jpeg(image, "RGB") for image in images])


def load_footage(uri: Uri, cache: Uri | None = None) -> Footage:
    """Return the videos of a store, mapped from `<cache>/<digest>.video.v1.arrow`.

    That file is written from verified shards, once; then the store is not read again.

    Args:
        uri: Folder of the store.
        cache: A local folder. Default: $HHMNET_CACHE, or `~/.cache/hhmnet`.

    Raises:
        InputError: No store, none with video, a missing or damaged shard, a clip with another
            number of images than in the manifest, or a cache that cannot be written.
    """
    manifest = read_manifest(uri)
    visual = check_video(manifest, uri)
    node = NodeCache.at(cache)
    file = node.root / f"{manifest.digest}.video.v1.arrow"
    with node.lock(f"{manifest.digest}.video"):
        table = _map(file)
        if table is None:
            with node.usable():
                _write(file, uri, manifest)
            table = _map(file)
            assert table is not None
    return _footage(table, visual, manifest.skeleton.num_joints)


def footage_of(clips: Sequence[Clip], visual: Visual, num_joints: int) -> Footage:
    """Return the videos of clips that are in memory.

    Args:
        clips: One clip or more; their videos have `visual.frames` images.
        visual: Stream, number and size of the images.
        num_joints: V.
    """
    return _footage(pa.Table.from_batches([_rows(clips)]), visual, num_joints)


def check_video(manifest: Manifest, uri: Uri) -> Visual:
    """Return the videos' stream, number and size. Raises InputError for a store without video."""
    if manifest.visual is None or not manifest.visual.clips:
        raise InputError(
            f"The store {uri} has no video: prepare the data set again with video (see "
            "`hhmnet prepare --help`), and give that store as data.store."
        )
    return manifest.visual


def keep_filmed(split: Split, footage: Footage) -> Split:
    """Return the clips of a split that have a video."""
    train, val, test = (
        clips_n[footage.has_video_n[clips_n]] for clips_n in (split.train, split.val, split.test)
    )
    return Split(train, val, test)


def check_enough_filmed(filmed: Split, selection: str) -> None:
    """Raise InputError where a needed split (val for all but literature) has no video."""
    needed = ("train", "test") if selection == LITERATURE else ("train", "val", "test")
    counts = {name: len(getattr(filmed, name)) for name in needed}
    if not all(counts.values()):
        listed = ", ".join(f"{count} of {name}" for name, count in counts.items())
        raise InputError(
            f"Too few clips have a video ({listed}): prepare the store with the videos of each, or "
            "choose another data.protocol or data.selection."
        )


def _map(file: Path) -> pa.Table | None:
    """Return the table mapped from its file. None where there is no complete file."""
    try:
        return pa.ipc.open_file(pa.memory_map(str(file))).read_all()
    except (OSError, pa.ArrowException):
        return None


def _write(file: Path, uri: Uri, manifest: Manifest) -> None:
    """Write the file, which gets its name when it is complete."""
    assert manifest.visual
    store = folder(uri)
    new = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        with pa.OSFile(str(new), "wb") as sink, pa.ipc.new_file(sink, _SCHEMA) as writer:
            task = f"reading videos of {store.uri}"
            shards = watched(
                manifest.shards, task, manifest.num_clips, lambda shard: shard.num_clips
            )
            for shard in shards:
                content = read_shard(store, shard)
                clips = list(decode_shard(content, shard, manifest, store.uri, video=True))
                for clip in clips:
                    if clip.video and len(clip.video.images) != manifest.visual.frames:
                        raise InputError(
                            f"Clip {clip.sample_id} has {len(clip.video.images)} images, but the "
                            f"manifest of {uri} has {manifest.visual.frames}: prepare it again."
                        )
                writer.write_batch(_rows(clips))
        os.replace(new, file)
    finally:
        new.unlink(missing_ok=True)


def _rows(clips: Sequence[Clip]) -> pa.RecordBatch:
    none = Video((), np.zeros(0, np.int64), np.zeros(0, np.float32))
    videos = [clip.video or none for clip in clips]
    columns = [
        pa.array([list(video.images) for video in videos], _SCHEMA.field("images").type),
        pa.array([video.positions for video in videos], _SCHEMA.field("positions").type),
        pa.array([video.joints.ravel() for video in videos], _SCHEMA.field("joints").type),
        pa.array([len(clip.joints) for clip in clips], pa.int64()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)


def _footage(table: pa.Table, visual: Visual, num_joints: int) -> Footage:
    clips, images = len(table), visual.frames
    bodies = table.column("bodies").to_numpy()
    positions = np.zeros((clips, images), dtype=np.int64)
    joints = np.full((clips, int(bodies.max()), images, num_joints, 2), np.nan, dtype=np.float32)
    has_video = np.zeros(clips, dtype=np.bool_)
    for clip, (frames, flat) in enumerate(
        zip(table.column("positions"), table.column("joints"), strict=True)
    ):
        if len(frames):
            has_video[clip] = True
            positions[clip] = frames.values.to_numpy()
            values = flat.values.to_numpy()
            joints[clip, : bodies[clip]] = values.reshape(bodies[clip], images, num_joints, 2)
    return Footage(visual, has_video, positions, joints, table.column("images"))


class FootageReader:
    """Images of batches of clips, on the device that trains.

    They stay there, decoded, if they fit; else each batch is decoded on threads. Both give the same
    images.

    Args:
        footage: The videos.
        device: Device of the images.
        resident: Keep the images on the device. None: if they fit (`fits_in_memory`).
        sharers: Number of processes that share the device's memory.
    """

    def __init__(
        self,
        footage: Footage,
        device: torch.device,
        resident: bool | None = None,
        sharers: int = 1,
    ) -> None:
        self.footage, self.device = footage, device
        self._pool = ThreadPoolExecutor(torch.get_num_threads())
        visual = footage.visual
        size = int(footage.has_video_n.sum()) * visual.frames * visual.size**2 * 3
        self.resident = fits_in_memory(size, device, sharers) if resident is None else resident
        if self.resident:
            (filmed,) = np.nonzero(footage.has_video_n)
            self._index_n = torch.zeros(len(footage), dtype=torch.long)
            self._index_n[filmed] = torch.arange(len(filmed))
            shape = (len(filmed), visual.frames, 3, visual.size, visual.size)
            self._images = torch.empty(shape, dtype=torch.uint8, device=device)
            batches = torch.arange(len(filmed)).split(DECODED_AT_ONCE)
            for rows in watched(batches, "decoding videos", len(filmed), len):
                decoded = self._decode(torch.from_numpy(filmed)[rows])
                self._images[rows[0] : rows[-1] + 1] = decoded
            self._pool.shutdown()

    def plan(self, clips_n: Tensor) -> Tensor:
        """Return where the images of clips (n,) that have a video lie, on the host.

        Returns:
            Their rows (n,) among the resident videos, or the images themselves (n, F, 3, S, S).
        """
        return self._index_n[clips_n] if self.resident else self._decode(clips_n)

    def read(self, planned: Tensor) -> Tensor:
        """Return images (n, F, 3, S, S) uint8 of a plan that lies on the device."""
        return self._images[planned] if self.resident else planned

    def images(self, clips_n: Tensor) -> Tensor:
        """Return images (n, F, 3, S, S) uint8 of clips (n,) that have a video, on the device."""
        return self.read(to_device(self.plan(clips_n), self.device))

    def _decode(self, clips_n: Tensor) -> Tensor:
        """Return the images of clips on the host."""
        visual = self.footage.visual
        images = torch.empty(
            len(clips_n), visual.frames, 3, visual.size, visual.size, dtype=torch.uint8
        )
        for row, decoded in enumerate(self._pool.map(self.footage.decode, clips_n.tolist())):
            images[row] = torch.from_numpy(decoded).permute(0, 3, 1, 2)
        return images
