"""Building the shards of a store, in one process and as Ray tasks."""

from pathlib import Path

import fsspec
import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.store.reading import load_clips
from hhmnet_platform.datasets import parallel
from hhmnet_platform.datasets.builders import prepare_ntu

pytestmark = pytest.mark.usefixtures("three_shards")


def test_progress_is_logged_where_there_is_no_terminal(
    ntu_files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(parallel, "LOG_SECONDS", 0.0)
    prepare_ntu(str(ntu_files), str(tmp_path / "store"), workers=1)
    lines = capsys.readouterr().err.rstrip().splitlines()  # rich 14 ends with an empty one
    assert [line.split(",")[0] for line in lines] == [
        f"ntu60: {done} of 12 clips" for done in (5, 10, 12)
    ]
    assert lines[-1].endswith(" clips/s, 0:00 left")


def test_a_single_missing_shard_needs_no_ray(
    ntu_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, store = str(ntu_files), str(tmp_path / "store")
    build_shard = parallel.build_shard

    def interrupted(*given: object) -> object:
        if given[3] == 2:
            raise KeyboardInterrupt
        return build_shard(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(parallel, "build_shard", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare_ntu(source, store, workers=1)
    monkeypatch.setattr(parallel, "build_shard", build_shard)
    monkeypatch.setattr(parallel, "ray_session", lambda: pytest.fail("Ray was started"))
    assert prepare_ntu(source, store, workers=2).manifest.num_clips == 12


@pytest.mark.slow
@pytest.mark.integration
def test_ray_tasks_make_the_same_store_from_s3_to_s3(
    ntu_files: Path, s3_bucket: str, tmp_path: Path
) -> None:
    local = prepare_ntu(str(ntu_files), str(tmp_path / "store"), workers=1)
    fsspec.filesystem("s3").put(f"{ntu_files}/", f"{s3_bucket}/raw/", recursive=True)
    remote = prepare_ntu(f"{s3_bucket}/raw", f"{s3_bucket}/store", workers=2)
    assert remote.manifest == local.manifest
    clips = load_clips(f"{s3_bucket}/store", tmp_path / "cache")
    names = sorted(file.stem for file in ntu_files.iterdir())
    assert sorted(str(sample_id) for sample_id in clips.sample_ids) == names
    damaged = f"{names[6]}.skeleton"
    fsspec.filesystem("s3").pipe_file(f"{s3_bucket}/raw/{damaged}", b"3\n1\n")
    with pytest.raises(InputError, match=rf"^{damaged} in s3://bucket/raw, line 3: the file ends"):
        prepare_ntu(f"{s3_bucket}/raw", f"{s3_bucket}/store", workers=2, overwrite=True)
    rest = prepare_ntu(f"{s3_bucket}/raw", f"{s3_bucket}/store", on_error="quarantine", workers=1)
    assert rest.manifest.num_clips == 11
