"""Shards, the parquet files of a store: one row per clip, equal bytes for equal clips."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hhmnet_core.checks.parquet_size import check_parquet
from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder
from hhmnet_core.identity import JsonObject
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.store.clips import Clip, Float32Array, Int64Array, Video, check_clip
from hhmnet_core.store.manifest import Manifest, Shard

SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("label", pa.int64(), nullable=False),
        pa.field("subject", pa.int64(), nullable=False),
        pa.field("camera", pa.int64(), nullable=False),
        pa.field("setup", pa.int64(), nullable=False),
        pa.field("num_frames", pa.int64(), nullable=False),
        pa.field("num_bodies", pa.int64(), nullable=False),
        pa.field("joints", pa.large_list(pa.float32()), nullable=False),
    ]
)

# A column of data sets whose sensor locates its joints in the colour image.
PIXELS = pa.field("pixels", pa.large_list(pa.float32()), nullable=False)

# A column of shards in which positions of joints were missing. Lists are empty for whole clips.
MISSING = pa.field("missing", pa.large_list(pa.bool_()), nullable=False)

# Columns of data sets with video. Lists are empty for a clip without.
VIDEO = (
    pa.field("images", pa.large_list(pa.large_binary()), nullable=False),
    pa.field("image_positions", pa.large_list(pa.int64()), nullable=False),
    pa.field("image_joints", pa.large_list(pa.float32()), nullable=False),
)

_NO_IMAGES = Video((), np.zeros(0, np.int64), np.zeros((0, 0, 0, 2), np.float32))
_REMEDY = "copy the shard again from an undamaged copy of the store, or prepare the store again"


def encode_shard(clips: Sequence[Clip]) -> bytes:
    """Return the parquet file of clips: zstd, one row group, no dictionaries, no time stamp.

    Raises InputError where some clips have pixels and others do not.
    """
    schema = SCHEMA
    columns = [
        pa.array([clip.sample_id for clip in clips], pa.string()),
        *(
            pa.array([int(getattr(clip, field)) for clip in clips], pa.int64())
            for field in ("label", "subject", "camera", "setup")
        ),
        pa.array([clip.joints.shape[1] for clip in clips], pa.int64()),
        pa.array([clip.joints.shape[0] for clip in clips], pa.int64()),
        _lists([clip.joints for clip in clips]),
    ]
    pixels = [clip.pixels for clip in clips if clip.pixels is not None]
    if pixels:
        if len(pixels) != len(clips):
            without = next(clip.sample_id for clip in clips if clip.pixels is None)
            raise InputError(f"Clip {without} has no pixels, but others do: give all or none.")
        schema, columns = schema.append(PIXELS), [*columns, _lists(pixels)]
    if any(clip.missing is not None for clip in clips):
        schema = schema.append(MISSING)
        marks: list[Any] = [[] if clip.missing is None else clip.missing.ravel() for clip in clips]
        columns = [*columns, pa.array(marks, MISSING.type)]
    if any(clip.video for clip in clips):
        schema = pa.schema([*schema, *VIDEO])
        videos = [clip.video or _NO_IMAGES for clip in clips]
        columns += [
            pa.array([list(video.images) for video in videos], VIDEO[0].type),
            pa.array([video.positions for video in videos], VIDEO[1].type),
            _lists([video.joints for video in videos]),
        ]
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_arrays(columns, schema=schema),
        sink,
        row_group_size=max(1, len(clips)),
        compression="zstd",
        compression_level=3,
        use_dictionary=False,
        store_schema=False,
        version="2.6",
    )
    return bytes(sink.getvalue())


def _lists(arrays: Sequence[Float32Array]) -> pa.Array:
    sizes = np.array([0, *(array.size for array in arrays)], dtype=np.int64)
    flat = np.concatenate([np.ascontiguousarray(array).ravel() for array in arrays])
    return pa.LargeListArray.from_arrays(np.cumsum(sizes), pa.array(flat, pa.float32()))


def shard_name(number: int) -> str:
    """Return the name of a shard's file."""
    return f"clips-{number:05d}.parquet"


def write_shard(folder: Folder, name: str, clips: Sequence[Clip]) -> Shard:
    """Write the file of a shard, and return its entry for the manifest."""
    content = encode_shard(clips)
    folder.write(name, content)
    return Shard(name, hashlib.sha256(content).hexdigest(), len(content), len(clips))


def read_shard(folder: Folder, shard: Shard) -> bytes:
    """Return the verified content of a shard. Raises InputError for a missing or damaged one."""
    try:
        content = folder.read(shard.name)
    except FileNotFoundError as error:
        raise _missing(folder, shard) from error
    if len(content) != shard.bytes:
        raise InputError(
            f"Shard {shard.name} of the store {folder.uri} is damaged ({len(content)} bytes, "
            f"expected {shard.bytes}): {_REMEDY}."
        )
    if hashlib.sha256(content).hexdigest() != shard.sha256:
        raise InputError(
            f"Shard {shard.name} of the store {folder.uri} is damaged (its sha256 differs from the "
            f"manifest's): {_REMEDY}."
        )
    return content


def shard_facts(folder: Folder, shard: Shard) -> dict[str, Int64Array]:
    """Return the integer columns of a shard, (N,) each. Raises InputError if unreadable."""
    names = [field.name for field in SCHEMA if field.type == pa.int64()]
    try:
        with folder.open(shard.name) as file:
            parquet = pq.ParquetFile(file)
            check_parquet(parquet, f"Shard {shard.name} of the store {folder.uri}")
            # On threads, Arrow may still hold the file when Python ends, and abort the process.
            table = parquet.read(columns=names, use_threads=False)
        return {name: table.column(name).to_numpy().astype(np.int64) for name in names}
    except FileNotFoundError as error:
        raise _missing(folder, shard) from error
    except (pa.ArrowException, KeyError) as error:
        raise InputError(
            f"Shard {shard.name} of the store {folder.uri} is damaged ({error}): {_REMEDY}."
        ) from error


def shard_version(folder: Folder, shard: Shard) -> str:
    """Return a token that changes with the shard. Raises InputError where it is missing."""
    try:
        return folder.version(shard.name)
    except FileNotFoundError as error:
        raise _missing(folder, shard) from error


def _missing(folder: Folder, shard: Shard) -> InputError:
    return InputError(f"Shard {shard.name} of the store {folder.uri} is missing: {_REMEDY}.")


def decode_shard(
    content: bytes,
    shard: Shard,
    manifest: Manifest,
    uri: str,
    pixels: bool = False,
    video: bool = False,
) -> Iterator[Clip]:
    """Yield the clips of a shard, each checked against the manifest.

    Args:
        content: Content of the shard.
        shard: Its entry in the manifest.
        manifest: Manifest of the store.
        uri: URI of the store, for messages.
        pixels: Read the joints' pixels too, if the shard has them.
        video: Read the videos too, if the shard has them.

    Raises:
        InputError: Not a parquet file of the schema, or a clip that cannot be trained on, whoever
            wrote the store.
    """
    where = f"Shard {shard.name} of the store {uri}"
    layout = manifest.skeleton
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        check_parquet(file, where)
        names = set(file.schema_arrow.names)
        schema = SCHEMA
        if pixels and PIXELS.name in names:
            schema = schema.append(PIXELS)
        if MISSING.name in names:
            schema = schema.append(MISSING)
        if video and {field.name for field in VIDEO} <= names:
            schema = pa.schema([*schema, *VIDEO])
        table = file.read(columns=schema.names).select(schema.names).cast(schema)
        lists = {
            name: _lists_of(table.column(name).combine_chunks())
            for name in schema.names
            if pa.types.is_large_list(schema.field(name).type)
        }
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise InputError(f"{where} does not hold a clip store's columns ({error}).") from error
    if len(table) != shard.num_clips:
        raise InputError(f"{where} holds {len(table)} clips, expected {shard.num_clips}.")
    facts = table.drop_columns(list(lists)).to_pylist()
    for row, fields in enumerate(facts):
        clip = _clip(fields, {name: values[row] for name, values in lists.items()}, layout)
        check_clip(clip, layout, len(manifest.class_names))
        yield clip


def _lists_of(column: pa.LargeListArray) -> list[Any]:
    """Return the lists of a column: numbers as views of its values, files as tuples."""
    if pa.types.is_large_binary(column.values.type):
        return [tuple(files) for files in column.to_pylist()]
    ends: Int64Array = column.offsets.to_numpy()
    flat: NDArray[Any] = column.values.to_numpy(
        zero_copy_only=not pa.types.is_boolean(column.values.type)
    )
    return [flat[start:end] for start, end in pairwise(ends)]


def _clip(fields: JsonObject, lists: JsonObject, layout: Layout) -> Clip:
    shape = (fields["num_bodies"], fields["num_frames"], layout.num_joints)

    def shaped(name: str, *expected: int) -> NDArray[Any]:
        flat: NDArray[Any] = lists[name]
        if min(expected) < 1 or flat.size != np.prod(expected):
            unit = "marks" if name == MISSING.name else "coordinates"
            raise InputError(
                f"Clip {fields['sample_id']} holds {flat.size} {unit}, but {expected[0]} "
                f"bodies of {expected[1]} frames in layout {layout.name} have "
                f"{np.prod(expected)} ({name}): the layout or the clip is wrong."
            )
        return flat.reshape(expected)

    video = None
    if lists.get("images"):
        images: tuple[bytes, ...] = lists["images"]
        joints = shaped("image_joints", shape[0], len(images), shape[2], 2)
        video = Video(images, lists["image_positions"], joints)
    return Clip(
        sample_id=fields["sample_id"],
        label=fields["label"],
        subject=fields["subject"],
        camera=fields["camera"],
        setup=fields["setup"],
        joints=shaped("joints", *shape, layout.channels),
        pixels=shaped("pixels", *shape, 2) if "pixels" in lists else None,
        missing=shaped("missing", *shape) if len(lists.get("missing", ())) else None,
        video=video,
    )
