"""Preparing clip stores: built once, never over something else, continued after an interruption."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.sources.synthetic import recordings as synthetic
from hhmnet_core.store.reading import read_manifest
from hhmnet_platform.datasets import parallel
from hhmnet_platform.datasets.builders import prepare_ntu, prepare_synthetic
from hhmnet_platform.datasets.prepare import Prepared

Summary = Callable[[Prepared], str]


def test_store_is_built_once(tmp_path: Path, summary: Summary) -> None:
    store = str(tmp_path / "store")
    first = prepare_synthetic(store, clips_per_class=2, stream="none")
    times = {path: path.stat().st_mtime_ns for path in Path(store).iterdir()}
    again = prepare_synthetic(store, clips_per_class=2, stream="none")
    assert (first.written, again.written) == (True, False)
    assert first.manifest == again.manifest == read_manifest(store)
    assert times == {path: path.stat().st_mtime_ns for path in Path(store).iterdir()}
    assert first.manifest.num_clips == 2 * len(synthetic.CLASS_NAMES)
    assert f"Nothing to do: {store} was made from the same source" in summary(again)
    assert "Nothing to do" not in summary(first)
    assert "Written in" in summary(first)


def test_store_of_something_else_is_kept_unless_overwritten(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    first = prepare_synthetic(store, clips_per_class=1, stream="none")
    with pytest.raises(InputError, match=r"made from something else .seed 1, now 2.: give"):
        prepare_synthetic(store, seed=2, clips_per_class=1, stream="none")
    assert read_manifest(store) == first.manifest
    other = prepare_synthetic(store, seed=2, clips_per_class=1, stream="none", overwrite=True)
    assert other.written
    assert other.manifest.digest != first.manifest.digest


@pytest.mark.parametrize("damaged", ["clips-00000.parquet", "manifest.json"])
def test_damaged_store_is_kept_unless_overwritten(tmp_path: Path, damaged: str) -> None:
    store = tmp_path / "store"
    first = prepare_synthetic(str(store), clips_per_class=1, stream="none")
    (store / damaged).write_bytes((store / damaged).read_bytes()[:-100])
    with pytest.raises(InputError, match=rf"{damaged} .*--overwrite true"):
        prepare_synthetic(str(store), clips_per_class=1, stream="none")
    again = prepare_synthetic(str(store), clips_per_class=1, stream="none", overwrite=True)
    assert again.manifest == first.manifest


def test_bad_number_of_workers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="workers must be at least 1, but is 0"):
        prepare_synthetic(str(tmp_path / "store"), workers=0)


def test_files_known_by_their_size_are_mentioned(
    ntu_files: Path, tmp_path: Path, summary: Summary
) -> None:
    store = str(tmp_path / "store")
    first = prepare_ntu(str(ntu_files), store, workers=1)
    assert "compared" not in summary(first)
    again = prepare_ntu(str(ntu_files), store, workers=1)
    assert not again.written and again.manifest == first.manifest
    assert "compared by name and size (in a zip by checksum too)" in summary(again)


@pytest.mark.usefixtures("three_shards")
def test_damaged_file_stops_and_the_rerun_continues(
    ntu_files: Path, tmp_path: Path, summary: Summary, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, store = shutil.copytree(ntu_files, tmp_path / "files"), str(tmp_path / "store")
    damaged = sorted(source.iterdir())[6]
    damaged.write_text(damaged.read_text()[:5000])
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
    assert prepared.manifest.num_clips == 11
    assert prepared.manifest.left_out["clips in quarantine"] == 1
    with open(tmp_path / "store" / "left_out.csv") as file:
        rows = list(csv.reader(file))
    assert rows[1][:2] == ["clip", damaged.name] and "line" in rows[1][2]
    assert f"{store}/left_out.csv" in summary(prepared)
    assert not prepare_ntu(str(source), store, on_error="quarantine", workers=1).written


def test_folder_of_other_files_is_refused_and_kept(tmp_path: Path) -> None:
    store = tmp_path / "home"
    store.mkdir()
    (store / ".DS_Store").write_text("hidden")
    assert prepare_synthetic(str(store), clips_per_class=1, stream="none").written
    other = tmp_path / "papers"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"papers holds thesis.tex and is no clip store"):
            prepare_synthetic(str(other), clips_per_class=1, stream="none", overwrite=overwrite)
    assert [each.name for each in other.iterdir()] == ["thesis.tex"]
