"""Writing a store: one shard in memory at a time, the manifest last."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from made_stores import make_clip, make_clips, write

from hhmnet_core.errors import InputError
from hhmnet_core.store.clips import Clip
from hhmnet_core.store.reading import (
    read_manifest,
    verify_store,
)


def test_clips_are_streamed_not_gathered(tmp_path: Path) -> None:
    store = tmp_path / "store"

    def clips() -> Iterator[Clip]:
        for number in range(20):
            if number == 15:
                assert (store / "clips-00000.parquet").exists()
                assert not (store / "manifest.json").exists()
            yield make_clip(number, 1, 10)

    write(store, clips())


def test_half_written_store_is_none_and_is_made_again(tmp_path: Path) -> None:
    write(tmp_path, shard_bytes=5_000)

    def broken() -> Iterator[Clip]:
        yield from make_clips(10)
        raise RuntimeError("pulled the plug")

    with pytest.raises(RuntimeError):
        write(tmp_path, broken())
    with pytest.raises(InputError, match="no clip store at"):
        read_manifest(tmp_path)
    manifest = write(tmp_path)
    assert verify_store(tmp_path) == manifest
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"manifest.json", *(shard.name for shard in manifest.shards)}


def test_store_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"Cannot .* place that you may write to|Cannot list"):
        write(tmp_path / "file" / "store")


def test_no_clips_make_no_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no clips to write"):
        write(tmp_path, [])
