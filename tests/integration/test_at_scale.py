"""Many files predicted side by side by Ray Data: killed, and run again."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from made_models import make_model
from person_videos import encode, moving
from processes import Starter, wait_until
from video_files import write_video_store

from hhmnet_core.errors import InputError
from hhmnet_core.store.reading import load_clips
from hhmnet_platform.serving.job import PredictJob
from hhmnet_platform.serving.predict import run_predict

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("pose_models")]
VIDEOS = 8
PREDICT = Path(__file__).parents[2] / "experiments" / "predict.py"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("scale")
    return make_model(load_clips(write_video_store(folder / "store")), folder)


@pytest.fixture(scope="module")
def recordings(model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of a person, skeletons, and a file that is neither."""
    folder = tmp_path_factory.mktemp("recordings")
    for number in range(VIDEOS):
        (folder / f"video{number}.mp4").write_bytes(encode(moving(10, step=1 + number)))
    clips = load_clips(Path(model).parent / "store")
    for number in range(5):
        np.save(folder / f"clip{number}.npy", clips.clip(number).joints)
    (folder / "bad.mp4").write_text("not a video")
    return folder


def rows_of(place: Path) -> list[dict[str, object]]:
    files = sorted(place.glob("part-*")) if place.is_dir() else [place]
    return [row for file in files for row in pq.read_table(file).to_pylist()]


@pytest.mark.slow
def test_killed_half_way_and_run_again_nothing_is_missing_and_nothing_twice(
    model: str, recordings: Path, starter: Starter, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = (f"--model={model}", f"--input={recordings}", "--workers=1", f"--out={out}")
    running = starter.script(PREDICT, *options)
    wait_until(lambda: out.is_dir() and len(list(out.glob("part-*"))) >= 3, "some parts", 120)
    running.popen.kill()
    running.finish(30)
    before = {file: file.read_bytes() for file in out.glob("part-*")}
    assert 3 <= len(before) <= VIDEOS
    done = starter.script(PREDICT, *options)
    assert done.finish(180) == 0, done.output
    assert "recordings are in" in done.output
    after = {file: file.read_bytes() for file in out.glob("part-*")}
    assert len(after) == VIDEOS + 2  # one for all skeletons, one for each video
    assert {file: after[file] for file in before} == before
    single = tmp_path / "single.parquet"
    run_predict(PredictJob(model=model, input=str(recordings), out=str(single)))
    expected = {row["input"]: row for row in rows_of(single)}
    found = rows_of(out)
    assert sorted(row["input"] for row in found) == sorted(expected)  # type: ignore[type-var]
    for row in found:
        alone = expected[row["input"]]
        assert row["reason"] == alone["reason"] and row["action"] == alone["action"]
        if not row["reason"]:
            np.testing.assert_array_equal(row["probabilities"], alone["probabilities"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out": ""}, "--out is missing"),
        ({"out": "a.csv"}, "writes a folder"),
        ({"workers": -1}, "workers must"),
    ],
)
def test_options_that_cannot_be(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PredictJob(**({"workers": 2, "out": "folder"} | options))  # type: ignore[arg-type]
