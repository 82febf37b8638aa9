"""NTU RGB+D from files to a store: in one process and as Ray tasks, with damaged files."""

import csv
from io import StringIO
from pathlib import Path

import fsspec
import numpy as np
import pytest
from ntu_files import SkeletonFile, Track, clip_name, standing_body
from rich.console import Console

from hhmnet_core.errors import InputError
from hhmnet_core.store.reading import load_clips, read_manifest
from hhmnet_platform.datasets import builders, parallel
from hhmnet_platform.datasets.builders import prepare_ntu
from hhmnet_platform.datasets.prepare import Prepared, print_prepared

NAMES = [
    clip_name(camera=c, performer=p, action=a) for c in (1, 2) for p in (1, 3) for a in (1, 58, 60)
]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builders, "NTU_SHARD_CLIPS", 5)


def write_files(folder: Path) -> Path:
    folder.mkdir()
    random = np.random.default_rng(0)
    for sample_id in NAMES:
        tracks = [Track(0, standing_body(random, 20)), Track(2, standing_body(random, 15, 0.8), 1)]
        text = SkeletonFile(20, tracks if sample_id.endswith(("58", "60")) else tracks[:1]).text()
        (folder / f"{sample_id}.skeleton").write_text(text)
    return folder


def shown(prepared: Prepared) -> str:
    out = StringIO()
    print_prepared(prepared, Console(file=out, width=140))
    return out.getvalue()


def test_summary_shows_the_published_numbers_too(tmp_path: Path) -> None:
    source, store = str(write_files(tmp_path / "files")), str(tmp_path / "store")
    prepared = prepare_ntu(source, store, workers=1)
    assert prepared.manifest.dataset == "ntu60"
    assert prepared.manifest.counts["xsub"] == {"train": 6, "val": 0, "test": 6}
    text = shown(prepared)
    for expected in (
        "6 / 40,091", "6 / 16,487", "6 / 37,646", "6 / 18,932",
        "4 clips with 1, 8 clips with 2", "clips not found", "56,566", "clips published as missing",
    ):  # fmt: skip
        assert expected in text
    again = prepare_ntu(source, store, workers=1)
    assert not again.written and again.manifest == prepared.manifest
    assert "compared by name and size (in a zip by checksum too)" in shown(again)
    assert "compared" not in text
    with pytest.raises(InputError, match="made from something else"):
        prepare_ntu(source, store, align=True, workers=1)


def test_damaged_file_stops_and_the_rerun_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, store = write_files(tmp_path / "files"), str(tmp_path / "store")
    damaged = source / f"{NAMES[6]}.skeleton"
    whole = damaged.read_text()
    damaged.write_text(whole[:5000])
    with pytest.raises(InputError, match=rf"^{damaged.name} in {source}, line \d+: .*cut off"):
        prepare_ntu(str(source), store, workers=1)
    with pytest.raises(InputError, match="no clip store"):
        read_manifest(store)
    built: list[int] = []
    build_shard = parallel.build_shard
    monkeypatch.setattr(
        parallel, "build_shard", lambda *given: built.append(given[3]) or build_shard(*given)
    )
    prepared = prepare_ntu(str(source), store, on_error="quarantine", workers=1)
    assert built == [1, 2]
    assert prepared.manifest.num_clips == len(NAMES) - 1
    assert prepared.manifest.left_out["clips in quarantine"] == 1
    with open(tmp_path / "store" / "left_out.csv") as file:
        rows = list(csv.reader(file))
    assert rows[1][0] == damaged.name and "line" in rows[1][1]
    assert f"{store}/left_out.csv" in shown(prepared)
    assert not prepare_ntu(str(source), store, on_error="quarantine", workers=1).written


def test_bad_number_of_workers_is_refused(tmp_path: Path) -> None:
    source = str(write_files(tmp_path / "files"))
    with pytest.raises(InputError, match="workers must be at least 1, but is 0"):
        prepare_ntu(source, str(tmp_path / "store"), workers=0)


def test_progress_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parallel, "LOG_SECONDS", 0.0)
    prepare_ntu(str(write_files(tmp_path / "files")), str(tmp_path / "store"), workers=1)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        f"ntu60: {done} of 12 clips" for done in (5, 10, 12)
    ]


@pytest.mark.integration
def test_ray_tasks_make_the_same_store_from_s3_to_s3(s3_bucket: str, tmp_path: Path) -> None:
    source = write_files(tmp_path / "files")
    here = prepare_ntu(str(source), str(tmp_path / "store"), workers=1)
    fsspec.filesystem("s3").put(f"{source}/", f"{s3_bucket}/raw/", recursive=True)
    there = prepare_ntu(f"{s3_bucket}/raw", f"{s3_bucket}/store", workers=2)
    assert there.manifest == here.manifest
    clips = load_clips(f"{s3_bucket}/store", tmp_path / "cache")
    assert sorted(str(sample_id) for sample_id in clips.sample_ids) == sorted(NAMES)
    damaged = f"{NAMES[6]}.skeleton"
    fsspec.filesystem("s3").pipe_file(f"{s3_bucket}/raw/{damaged}", b"3\n1\n")
    with pytest.raises(InputError, match=rf"^{damaged} in s3://bucket/raw, line 3: the file ends"):
        prepare_ntu(f"{s3_bucket}/raw", f"{s3_bucket}/store", workers=2, overwrite=True)
    left = prepare_ntu(f"{s3_bucket}/raw", f"{s3_bucket}/store", on_error="quarantine", workers=1)
    assert left.manifest.num_clips == len(NAMES) - 1
