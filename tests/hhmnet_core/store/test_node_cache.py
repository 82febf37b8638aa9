"""The node's cache: one mapped file per store, with the digest of its skeletons."""

import hashlib
import json
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_stores import assert_same, make_clip, make_clips, write_small_store

from hhmnet_core.errors import InputError
from hhmnet_core.store.clips import Clip, ClipSet
from hhmnet_core.store.manifest import Protocol
from hhmnet_core.store.node_cache import NodeCache
from hhmnet_core.store.reading import load_clips


def test_frames_are_mapped_read_only_and_nothing_is_read_twice(tmp_path: Path) -> None:
    write_small_store(tmp_path / "store")
    first = load_clips(tmp_path / "store", tmp_path / "cache")
    assert not first.frames.flags.writeable
    (file,) = (tmp_path / "cache").glob("*.arrow")
    assert first.manifest.digest in file.name
    before = file.stat().st_mtime_ns
    load_clips(tmp_path / "store", tmp_path / "cache")
    assert file.stat().st_mtime_ns == before


def loaded(uri: Path, clips: list[Clip] | None = None, **changes: Any) -> ClipSet:
    write_small_store(uri, clips, **changes)
    return load_clips(uri, uri / "cache")


@pytest.mark.parametrize(
    "changes",
    [
        {"class_names": ("a", "b", "d")},
        {"protocols": {"xview": Protocol({"camera": [2]}, {"camera": [1]})}},
        {"clips": make_clips(19)},
        {"clips": [make_clip(0, 1, 1, subject=5), *make_clips()[1:]]},
        {"clips": [*make_clips()[:-1], make_clip(99, 1, 3, sample_id="clip19", label=1)]},
    ],
)
def test_skeletons_digest_depends_on_what_decides_a_result(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    assert loaded(tmp_path / "one").skeletons != loaded(tmp_path / "two", **changes).skeletons


def test_skeletons_digest_does_not_depend_on_shards_and_pixels(tmp_path: Path) -> None:
    plain = loaded(tmp_path / "one")
    with_pixels = [
        replace(clip, pixels=np.zeros((*clip.joints.shape[:3], 2), np.float32))
        for clip in make_clips()
    ]
    other = loaded(tmp_path / "two", with_pixels, source={"made": "there"}, shard_bytes=5_000)
    assert other.manifest.digest != plain.manifest.digest
    assert other.skeletons == plain.skeletons
    rules = {
        "class_names": ["a", "b", "c"], "layout": "kinect_v1_20",
        "protocols": {"xview": {"test": {"camera": [2]}, "train": {"camera": [1]}}},
        "schema_version": 1,
    }  # fmt: skip
    content = json.dumps(rules, separators=(",", ":")).encode()
    for clip in make_clips():
        facts = [clip.sample_id, clip.label, clip.subject, clip.camera, clip.setup]
        facts += [clip.joints.shape[1], clip.joints.shape[0]]
        content += json.dumps(facts, separators=(",", ":")).encode() + clip.joints.tobytes()
    assert plain.skeletons == hashlib.sha256(content).hexdigest()


def test_touched_but_whole_shard_is_verified_and_used(tmp_path: Path) -> None:
    manifest = write_small_store(tmp_path / "store")
    load_clips(tmp_path / "store", tmp_path / "cache")
    os.utime(tmp_path / "store" / manifest.shards[0].name, (1, 1))
    assert_same(load_clips(tmp_path / "store", tmp_path / "cache"), make_clips())


def test_cut_cache_file_is_written_again(tmp_path: Path) -> None:
    write_small_store(tmp_path / "store")
    load_clips(tmp_path / "store", tmp_path / "cache")
    (file,) = (tmp_path / "cache").glob("*.arrow")
    file.write_bytes(file.read_bytes()[:1000])
    assert_same(load_clips(tmp_path / "store", tmp_path / "cache"), make_clips())


def test_cache_holds_a_store_once_it_is_loaded(tmp_path: Path) -> None:
    digest = write_small_store(tmp_path / "store").digest
    cache = NodeCache.at(tmp_path / "cache")
    assert not cache.holds(digest)
    load_clips(tmp_path / "store", tmp_path / "cache")
    assert cache.holds(digest)


def test_cache_folder_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_small_store(tmp_path / "store")
    monkeypatch.setenv("HHMNET_CACHE", str(tmp_path / "mine"))
    load_clips(tmp_path / "store")
    assert list((tmp_path / "mine").glob("*.arrow"))


def test_unusable_cache_is_refused(tmp_path: Path) -> None:
    write_small_store(tmp_path / "store")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cache folder .*file.* cannot be used"):
        load_clips(tmp_path / "store", tmp_path / "file")


def _load_total(store: str, cache: str, totals: "multiprocessing.Queue[float]") -> None:
    totals.put(float(load_clips(store, cache).frames.sum()))


def test_processes_share_one_cache_file(tmp_path: Path) -> None:
    write_small_store(tmp_path / "store", [make_clip(number, 2, 50) for number in range(60)])
    context = multiprocessing.get_context("fork")
    totals = context.Queue()
    arguments = (str(tmp_path / "store"), str(tmp_path / "cache"), totals)
    processes = [context.Process(target=_load_total, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    sums = {totals.get(timeout=60) for _ in processes}
    for process in processes:
        process.join(timeout=60)
        assert process.exitcode == 0
    assert sums == {float(load_clips(*arguments[:2]).frames.sum())}
    assert len(list((tmp_path / "cache").glob("*.arrow"))) == 1
    assert not [path for path in (tmp_path / "cache").iterdir() if path.name.startswith(".")]


def test_file_that_was_changed_is_written_again(tmp_path: Path) -> None:
    write_small_store(tmp_path / "store")
    whole = load_clips(tmp_path / "store", tmp_path / "cache")
    frames = whole.frames.copy()
    (file,) = (tmp_path / "cache").glob("*.arrow")
    content = bytearray(file.read_bytes())
    start = content.index(frames.tobytes())
    content[start + 3] ^= 1
    file.write_bytes(content)
    again = load_clips(tmp_path / "store", tmp_path / "cache")
    np.testing.assert_array_equal(again.frames, frames)


def test_home_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.write_text("no folder")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("HHMNET_CACHE")
    write_small_store(tmp_path / "store")
    with pytest.raises(InputError, match=rf"{home}/.cache/hhmnet cannot be used .* or HOME where"):
        load_clips(tmp_path / "store")
