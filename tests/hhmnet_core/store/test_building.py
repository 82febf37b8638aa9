"""Stores made in parts: the same bytes in any order, resumed, with a quarantine."""

import csv
import errno
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder, folder
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.store.building import (
    LEFT_OUT,
    BuiltShard,
    OnError,
    StorePlan,
    build_shard,
    finish_store,
    finished_shards,
)
from hhmnet_core.store.clips import Clip, Video
from hhmnet_core.store.manifest import Manifest, Protocol, Visual
from hhmnet_core.store.reading import load_clips, read_manifest, verify_store
from hhmnet_core.store.writing import StoreDescription, remove_manifest, write_store

ABOUT = StoreDescription(
    "made",
    get_layout("kinect_v1_20"),
    ("a", "b"),
    {"xview": Protocol({"camera": [1]}, {"camera": [2]})},
    {"made": "here"},
)


class Recordings:
    """Ten recordings; those of `bad` cannot be read. Remembers what was read."""

    def __init__(self, bad: Sequence[str] = (), pixels: bool = False) -> None:
        self.names = [f"file{number}" for number in range(10)]
        self.bad, self.pixels = set(bad), pixels
        self.read: list[str] = []

    def clip(self, name: str) -> Clip:
        self.read.append(name)
        if name in self.bad:
            raise InputError(f"{name} is spoilt: get it again.")
        number = int(name[4:])
        random = np.random.default_rng(number)
        joints = random.normal(size=(1 + number % 2, 3 + number, 20, 3)).astype(np.float32)
        pixels = (joints[..., :2] * 100).astype(np.float32) if self.pixels else None
        if pixels is not None:
            pixels[0, 0] = np.nan
        clip = Clip(f"clip{number}", number % 2, 1 + number % 3, 1 + number % 2, 7, joints, pixels)
        return replace(clip, dropped={"frames": number})


def plan(recordings: Recordings, about: StoreDescription = ABOUT) -> StorePlan:
    return StorePlan(about, tuple(recordings.names), shard_clips=4)


def build(
    place: Folder,
    recordings: Recordings,
    order: Sequence[int] = (0, 1, 2),
    on_error: OnError = "fail",
    absent: dict[str, str] | None = None,
) -> Manifest:
    todo = plan(recordings)
    remove_manifest(place)
    parts = finished_shards(place, todo)
    for number in order:
        if number not in parts:
            parts[number] = build_shard(place, todo, recordings, number, on_error)
    return finish_store(place, todo, [parts[n] for n in range(todo.num_shards)], absent or {})


def test_parts_of_any_order_are_the_same_store(tmp_path: Path) -> None:
    one, two = folder(tmp_path / "one"), folder(tmp_path / "two")
    recordings = Recordings()
    assert build(one, recordings) == build(two, Recordings(), order=(2, 0, 1))
    assert (
        one.names()
        == two.names()
        == [f"clips-0000{n}.parquet" for n in range(3)] + ["manifest.json"]
    )
    clips = load_clips(tmp_path / "one", tmp_path / "cache")
    assert [str(s) for s in clips.sample_ids] == [f"clip{n}" for n in range(10)]
    for index, name in enumerate(recordings.names):
        np.testing.assert_array_equal(clips.clip(index).joints, recordings.clip(name).joints)
    assert verify_store(tmp_path / "one").left_out == {"frames": sum(range(10))}


def test_parts_equal_a_store_of_the_same_clips(tmp_path: Path) -> None:
    recordings = Recordings()
    parts = StorePlan(ABOUT, tuple(recordings.names))
    made = build_shard(folder(tmp_path / "parts"), parts, recordings, 0, "fail")
    tied = finish_store(folder(tmp_path / "parts"), parts, [made], {})
    written = write_store(
        tmp_path / "whole",
        map(recordings.clip, recordings.names),
        dataset="made",
        layout="kinect_v1_20",
        class_names=("a", "b"),
        protocols=ABOUT.protocols,
        source={},
    )
    assert (tied.digest, tied.shards, tied.counts) == (
        written.digest, written.shards, written.counts,
    )  # fmt: skip


def test_interrupted_store_goes_on_where_it_stopped(tmp_path: Path) -> None:
    place, first = folder(tmp_path), Recordings()
    for number in (0, 2):
        build_shard(place, plan(first), first, number, "fail")
    with pytest.raises(InputError, match="no clip store"):
        read_manifest(tmp_path)
    again = Recordings()
    manifest = build(place, again)
    assert again.read == ["file4", "file5", "file6", "file7"]
    assert manifest == build(folder(tmp_path / "other"), Recordings())


def test_part_that_is_damaged_or_of_another_plan_is_made_again(tmp_path: Path) -> None:
    place, recordings = folder(tmp_path), Recordings()
    todo = plan(recordings)
    for number in range(3):
        build_shard(place, todo, recordings, number, "fail")
    assert list(finished_shards(place, todo)) == [0, 1, 2]
    place.write("clips-00000.parquet", place.read("clips-00000.parquet")[:-1])
    place.write("clips-00001.json", b'{"key": ')
    assert list(finished_shards(place, todo)) == [2]
    other = replace(ABOUT, source={"made": "there"})
    assert not finished_shards(place, plan(recordings, other))


def test_unreadable_recording_stops_or_goes_to_quarantine(tmp_path: Path) -> None:
    place = folder(tmp_path)
    with pytest.raises(InputError, match="file5 is spoilt"):
        build(place, Recordings(bad=["file5"]))
    spoilt = Recordings(bad=["file5", "file8", "file9"])
    manifest = build(place, spoilt, on_error="quarantine", absent={"clip77": "not found"})
    assert "file0" not in spoilt.read  # the first run had read that part
    assert manifest.num_clips == 7
    assert manifest.left_out == {
        "clips in quarantine": 3,
        "clips not found": 1,
        "frames": 0 + 1 + 2 + 3 + 4 + 6 + 7,
    }
    with (tmp_path / LEFT_OUT).open() as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["what", "why"],
        *([f"file{n}", f"file{n} is spoilt: get it again."] for n in (5, 8, 9)),
        ["clip77", "not found"],
    ]
    assert [shard.num_clips for shard in manifest.shards] == [4, 3]
    assert len(load_clips(tmp_path, tmp_path / "cache")) == 7


def test_quarantine_is_looked_at_again(tmp_path: Path) -> None:
    place = folder(tmp_path)
    todo = plan(Recordings())
    build_shard(place, todo, Recordings(bad=["file1"]), 0, "quarantine")
    whole = build(place, Recordings())
    assert whole.num_clips == 10 and LEFT_OUT not in place.names()


def test_clip_twice_or_none_at_all_is_refused(tmp_path: Path) -> None:
    recordings = Recordings()
    todo = StorePlan(ABOUT, ("file1", "file2", "file1"), shard_clips=2)
    parts = [build_shard(folder(tmp_path), todo, recordings, n, "fail") for n in range(2)]
    with pytest.raises(InputError, match="Clip clip1 occurs twice"):
        finish_store(folder(tmp_path), todo, parts, {})
    nothing = Recordings(bad=recordings.names)
    with pytest.raises(InputError, match="None of the 10 recordings can be read") as caught:
        build(folder(tmp_path / "n"), nothing, on_error="quarantine")
    assert "file0 is spoilt: get it again." in str(caught.value)
    assert (tmp_path / "n" / LEFT_OUT).read_text().count("is spoilt") == 10


def test_full_disk_ends_clearly_and_the_rerun_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, recordings = folder(tmp_path), Recordings()
    write = Folder.write

    def no_space(self: Folder, name: str, content: bytes) -> None:
        if name == "clips-00001.parquet":
            with self._writable(name):
                raise OSError(errno.ENOSPC, "No space left on device")
        write(self, name, content)

    monkeypatch.setattr(Folder, "write", no_space)
    with pytest.raises(InputError, match=r"Cannot write clips-00001.parquet .*No space left"):
        build(place, recordings)
    monkeypatch.undo()
    again = Recordings()
    build(place, again)
    assert again.read[0] == "file4"


def test_files_of_others_stay(tmp_path: Path) -> None:
    for name in ("clips-mine.csv", "clips-00009.txt", "clips-00009.parquet", "clips-00007.json"):
        (tmp_path / name).touch()
    build(folder(tmp_path), Recordings())
    left = {path.name for path in tmp_path.iterdir()}
    assert {"clips-mine.csv", "clips-00009.txt"} <= left
    assert not {"clips-00009.parquet", "clips-00007.json"} & left


def test_note_of_a_part_keeps_all_of_it(tmp_path: Path) -> None:
    place, recordings = folder(tmp_path), Recordings()
    made: BuiltShard = build_shard(place, plan(recordings), recordings, 1, "fail")
    assert finished_shards(place, plan(recordings)) == {1: made}


def filmed(number: int, images: int = 3) -> Clip:
    random = np.random.default_rng(number)
    frames = int(random.integers(4, 9))
    video = Video(
        tuple(b"JPEG" * int(random.integers(1, 5)) for _ in range(images)),
        np.sort(random.integers(0, frames, images)),
        random.uniform(-0.1, 1.1, (1, images, 20, 2)).astype(np.float32),
    )
    joints = random.normal(size=(1, frames, 20, 3)).astype(np.float32)
    return Clip(f"c{number}", 0, number, 1 + number % 2, 0, joints, video=video)


class Films:
    """Clips with video, but for those of `without`."""

    def __init__(self, without: Sequence[int] = ()) -> None:
        self.names = [str(number) for number in range(7)]
        self.without = set(without)

    def clip(self, name: str) -> Clip:
        clip = filmed(int(name))
        if int(name) in self.without:
            return replace(clip, video=None, no_video="not found")
        return clip


def make_films(place: Folder, source: Films) -> Manifest:
    plan = StorePlan(replace(ABOUT, visual=Visual("rgb", 3, 32)), tuple(source.names), 3)
    parts = [build_shard(place, plan, source, n, "fail") for n in range(plan.num_shards)]
    return finish_store(place, plan, parts, {})


def test_manifest_counts_videos_and_table_names_those_without(tmp_path: Path) -> None:
    manifest = make_films(folder(tmp_path), Films(without=[1, 6]))
    assert read_manifest(tmp_path) == manifest
    kept = [video for n in (0, 2, 3, 4, 5) if (video := filmed(n).video)]
    inside = np.concatenate([((v.joints >= 0) & (v.joints <= 1)).all(-1).ravel() for v in kept])
    assert manifest.visual == Visual("rgb", 3, 32, 5, float(inside.mean()))
    assert manifest.left_out == {"clips without video": 2}
    rows = list(csv.reader((tmp_path / LEFT_OUT).read_text().splitlines()))
    assert rows == [["what", "why"], ["c1 (video)", "not found"], ["c6 (video)", "not found"]]


def test_store_in_which_no_video_could_be_used_is_refused(tmp_path: Path) -> None:
    said = "None of the 7 clips has a video that could be used; of c0: not found"
    with pytest.raises(InputError, match=said):
        make_films(folder(tmp_path), Films(without=range(7)))


def test_videos_are_part_of_the_digest(tmp_path: Path) -> None:
    one, two = (
        make_films(folder(tmp_path / name), Films(without=without)).digest
        for name, without in (("one", [1]), ("two", [2]))
    )
    assert one != two
