"""Stores built of shards: equal in any order, resumable, with a quarantine."""

import csv
import errno
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from built_stores import (
    DESCRIPTION,
    Recordings,
    build_store,
    build_video_store,
    make_video_clip,
    plan_store,
)
from made_stores import write_store

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder, write_local
from hhmnet_core.store.building import (
    LEFT_OUT,
    StorePlan,
    build_shard,
    finish_store,
    finished_shards,
)
from hhmnet_core.store.clips import Clip
from hhmnet_core.store.manifest import Visual
from hhmnet_core.store.reading import load_clips, read_manifest, verify_store


def test_shards_of_any_order_are_the_same_store(tmp_path: Path) -> None:
    one, two = folder(tmp_path / "one"), folder(tmp_path / "two")
    recordings = Recordings()
    assert build_store(one, recordings) == build_store(two, Recordings(), order=(2, 0, 1))
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


def test_built_store_equals_one_written_of_the_same_clips(tmp_path: Path) -> None:
    recordings = Recordings()
    plan, target = StorePlan(DESCRIPTION, tuple(recordings.names)), folder(tmp_path / "built")
    shard = build_shard(target, plan, recordings, 0, "fail")
    built = finish_store(target, plan, [shard], {})
    written = write_store(
        tmp_path / "whole",
        map(recordings.clip, recordings.names),
        dataset="made",
        layout="kinect_v1_20",
        class_names=("a", "b"),
        protocols=DESCRIPTION.protocols,
        source={},
    )
    assert (built.digest, built.shards, built.counts) == (
        written.digest, written.shards, written.counts,
    )  # fmt: skip


def test_interrupted_store_is_resumed(tmp_path: Path) -> None:
    target, first = folder(tmp_path), Recordings()
    for number in (0, 2):
        build_shard(target, plan_store(first), first, number, "fail")
    with pytest.raises(InputError, match="no clip store"):
        read_manifest(tmp_path)
    again = Recordings()
    manifest = build_store(target, again)
    assert again.read == ["file4", "file5", "file6", "file7"]
    assert manifest == build_store(folder(tmp_path / "other"), Recordings())


def test_shard_that_is_damaged_or_of_another_plan_is_built_again(tmp_path: Path) -> None:
    target, recordings = folder(tmp_path), Recordings()
    plan = plan_store(recordings)
    for number in range(3):
        build_shard(target, plan, recordings, number, "fail")
    assert list(finished_shards(target, plan)) == [0, 1, 2]
    target.write("clips-00000.parquet", target.read("clips-00000.parquet")[:-1])
    target.write("clips-00001.json", b'{"key": ')
    assert list(finished_shards(target, plan)) == [2]
    other = replace(DESCRIPTION, source={"made": "there"})
    assert not finished_shards(target, plan_store(recordings, other))


def test_unreadable_recording_stops_or_goes_to_quarantine(tmp_path: Path) -> None:
    target = folder(tmp_path)
    with pytest.raises(InputError, match="file5 is damaged"):
        build_store(target, Recordings(bad=["file5"]))
    damaged = Recordings(bad=["file5", "file8", "file9"])
    manifest = build_store(target, damaged, on_error="quarantine", absent={"clip77": "not found"})
    assert "file0" not in damaged.read  # the first run had built that shard
    assert manifest.num_clips == 7
    assert manifest.left_out == {
        "clips in quarantine": 3,
        "clips not found": 1,
        "frames": 0 + 1 + 2 + 3 + 4 + 6 + 7,
    }
    with (tmp_path / LEFT_OUT).open() as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["what", "sample_id", "why"],
        *(["clip", f"file{n}", f"file{n} is damaged: get it again."] for n in (5, 8, 9)),
        ["clip", "clip77", "not found"],
    ]
    assert [shard.num_clips for shard in manifest.shards] == [4, 3]
    assert len(load_clips(tmp_path, tmp_path / "cache")) == 7


def test_recording_in_quarantine_is_read_again(tmp_path: Path) -> None:
    target = folder(tmp_path)
    plan = plan_store(Recordings())
    build_shard(target, plan, Recordings(bad=["file1"]), 0, "quarantine")
    whole = build_store(target, Recordings())
    assert whole.num_clips == 10 and LEFT_OUT not in target.names()


def test_clip_twice_or_none_at_all_is_refused(tmp_path: Path) -> None:
    recordings = Recordings()
    plan = StorePlan(DESCRIPTION, ("file1", "file2", "file1"), shard_clips=2)
    shards = [build_shard(folder(tmp_path), plan, recordings, n, "fail") for n in range(2)]
    with pytest.raises(InputError, match="Clip clip1 occurs twice"):
        finish_store(folder(tmp_path), plan, shards, {})
    nothing = Recordings(bad=recordings.names)
    with pytest.raises(InputError, match="None of the 10 recordings can be read") as caught:
        build_store(folder(tmp_path / "n"), nothing, on_error="quarantine")
    assert "file0 is damaged: get it again." in str(caught.value)
    assert (tmp_path / "n" / LEFT_OUT).read_text().count("is damaged") == 10


def test_full_disk_is_named_and_the_store_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, recordings = folder(tmp_path), Recordings()

    def write_until_full(path: Path, content: bytes) -> None:
        if path.name == "clips-00001.parquet":
            raise OSError(errno.ENOSPC, "No space left on device")
        write_local(path, content)

    monkeypatch.setattr("hhmnet_core.files.write_local", write_until_full)
    with pytest.raises(InputError, match=r"Cannot write clips-00001.parquet .*No space left"):
        build_store(target, recordings)
    monkeypatch.undo()
    again = Recordings()
    build_store(target, again)
    assert again.read[0] == "file4"


def test_files_of_others_stay(tmp_path: Path) -> None:
    for name in ("clips-mine.csv", "clips-00009.txt", "clips-00009.parquet", "clips-00007.json"):
        (tmp_path / name).touch()
    build_store(folder(tmp_path), Recordings())
    left = {path.name for path in tmp_path.iterdir()}
    assert {"clips-mine.csv", "clips-00009.txt"} <= left
    assert not {"clips-00009.parquet", "clips-00007.json"} & left


def test_note_of_a_shard_is_read_back(tmp_path: Path) -> None:
    target, recordings = folder(tmp_path), Recordings()
    built = build_shard(target, plan_store(recordings), recordings, 1, "fail")
    assert finished_shards(target, plan_store(recordings)) == {1: built}


def test_manifest_counts_videos_and_table_names_those_without(tmp_path: Path) -> None:
    manifest = build_video_store(folder(tmp_path), without=[1, 6])
    assert read_manifest(tmp_path) == manifest
    kept = [video for n in (0, 2, 3, 4, 5) if (video := make_video_clip(n).video)]
    inside = np.concatenate([((v.joints >= 0) & (v.joints <= 1)).all(-1).ravel() for v in kept])
    assert manifest.visual == Visual("rgb", 3, 32, 5, float(inside.mean()))
    assert manifest.left_out == {"clips without video": 2}
    rows = list(csv.reader((tmp_path / LEFT_OUT).read_text().splitlines()))
    assert rows == [
        ["what", "sample_id", "why"],
        ["video", "c1", "not found"],
        ["video", "c6", "not found"],
    ]


def test_store_without_any_usable_video_is_refused(tmp_path: Path) -> None:
    message = "None of the 7 clips has a video that could be used; of c0: not found"
    with pytest.raises(InputError, match=message):
        build_video_store(folder(tmp_path), without=range(7))


def test_videos_are_part_of_the_digest(tmp_path: Path) -> None:
    one, two = (
        build_video_store(folder(tmp_path / name), without).digest
        for name, without in (("one", [1]), ("two", [2]))
    )
    assert one != two


@pytest.mark.locked
def test_digests_of_built_stores_do_not_change(tmp_path: Path) -> None:
    with_pixels = build_store(folder(tmp_path / "pixels"), Recordings(pixels=True))
    assert with_pixels.digest == "5a285586b806c00de467c29fd9dd64e899e21340e629f158d6e14d00ece227f5"
    with_video = build_video_store(folder(tmp_path / "video"), without=[1])
    assert with_video.digest == "b63a2b4d536c00eaf6df2aee5416cf642d4a5a79fcc7f3e253173dde1c750cb6"


@pytest.mark.locked
def test_store_begun_by_an_earlier_version_is_resumed(tmp_path: Path) -> None:
    plan = plan_store(Recordings())
    assert plan.key == "38fdca14c489db22115ac32db58ab82de44fa9745786b80091a75efc811d6c98"
    build_shard(folder(tmp_path), plan, Recordings(), 0, "fail")
    path = tmp_path / "clips-00000.json"
    earlier = {k: v for k, v in json.loads(path.read_text()).items() if k != "dropped_bodies"}
    note = json.dumps(earlier).encode()
    assert hashlib.sha256(note).hexdigest() == (
        "80298dba18d9537ff691ca1038928adb1bf7b5f51da506420cecc21349265669"
    )
    path.write_bytes(note)
    assert list(finished_shards(folder(tmp_path), plan)) == [0]


class DroppingBodies(Recordings):
    def clip(self, name: str) -> Clip:
        clip = super().clip(name)
        return replace(clip, dropped={"bodies wider than high": 2}) if name == "file3" else clip


def test_dropped_bodies_are_named_and_absent_clips_counted_by_reason(tmp_path: Path) -> None:
    plan, target = plan_store(DroppingBodies()), folder(tmp_path)
    shards = [build_shard(target, plan, DroppingBodies(), n, "fail") for n in range(3)]
    absent = {"c1": "not found", "c2": "not found", "c3": "published as missing"}
    finish_store(target, plan, shards, absent, list_absent=False)
    with (tmp_path / LEFT_OUT).open() as file:
        rows = list(csv.reader(file))
    assert rows[1:] == [
        ["clip", "2 clips", "not found (--list_absent true lists them)"],
        ["clip", "1 clips", "published as missing (--list_absent true lists them)"],
        ["body", "clip3", "2 bodies wider than high"],
    ]
