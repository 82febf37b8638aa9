"""Videos predicted and drawn, with poses that BlazePose estimates for real."""

import json
from pathlib import Path

import numpy as np
import pytest
from person_videos import BACKGROUND, encode, moving, scene, sound

from hhmnet_core.deploy.model import load_model
from hhmnet_core.errors import InputError
from hhmnet_core.poses.blazepose.estimator import BlazePoseConfig
from hhmnet_core.poses.clips import clip_of_tracks
from hhmnet_core.poses.video import poses_of_video
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.sources.video_decoding import iterate_images
from hhmnet_platform.serving.job import PredictJob
from hhmnet_platform.serving.predict import run_predict

pytestmark = pytest.mark.usefixtures("pose_models")
FRAMES, RATE = 20, 25


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("videos") / "person.mp4"
    file.write_bytes(encode(moving(FRAMES, step=3), RATE))
    return file


def predict(model: str, given: Path, out: Path, **options: object) -> list[dict[str, object]]:
    run_predict(
        PredictJob(model=model, input=str(given), out=str(out), **{"overwrite": True} | options)
    )  # type: ignore[arg-type]
    rows: list[dict[str, object]] = json.loads(out.read_text())
    return rows


def test_a_video_is_predicted_by_the_poses_in_it(model: str, video: Path, tmp_path: Path) -> None:
    (row,) = predict(model, video, tmp_path / "out.json")
    tracks = poses_of_video(video.read_bytes(), BlazePoseConfig().open())
    posed = clip_of_tracks(tracks, get_layout("kinect_v1_20"), "person.mp4")
    expected = load_model(model).predict([posed.clip])[0]
    found = list(row["probabilities"].values())  # type: ignore[attr-defined]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert row["input"] == "person.mp4" and row["reason"] == ""


def test_windows_of_a_video_are_in_its_seconds(model: str, video: Path, tmp_path: Path) -> None:
    rows = predict(model, video, tmp_path / "out.json", window="0.4s", threshold=0.0)
    assert rows[0]["start"] == 0
    assert rows[-1]["stop"] == pytest.approx(FRAMES / RATE, abs=0.05)


def test_the_drawn_video_shows_the_skeleton_where_the_person_is(
    model: str, video: Path, tmp_path: Path
) -> None:
    out = tmp_path / "drawn.mp4"
    predict(model, video, tmp_path / "out.json", render=str(out))
    before, after = (list(iterate_images(file.read_bytes())) for file in (video, out))
    assert len(before) == len(after) == FRAMES
    assert before[0].shape == after[0].shape
    height, width = before[0].shape[:2]
    changed = np.abs(after[10].astype(int) - before[10].astype(int)).max(-1) > 60
    body = changed[height // 3 : -30, width // 4 :]
    assert body.sum() > 200  # bones
    person = np.abs(before[10].astype(int) - BACKGROUND).max(-1) > 20
    on_person = person[height // 3 : -30, width // 4 :]
    assert (body & on_person).sum() > 0.7 * body.sum()
    assert changed[-10:].mean() > 0.5  # the timeline


def test_a_skeleton_is_drawn_on_an_empty_canvas(model: str, clips: object, tmp_path: Path) -> None:
    joints = clips.clip(1).joints  # type: ignore[attr-defined]
    for name in ("one", "two"):
        np.save(tmp_path / f"{name}.npy", joints)
    predict(model, tmp_path / "one.npy", tmp_path / "out.json", render=str(tmp_path / "one.mp4"))
    images = list(iterate_images((tmp_path / "one.mp4").read_bytes()))
    assert len(images) == joints.shape[1]
    assert (np.abs(images[-1][150:400].astype(int) - 30) > 60).any()
    (tmp_path / "many").mkdir()
    for name in ("one", "two"):
        (tmp_path / f"{name}.npy").rename(tmp_path / "many" / f"{name}.npy")
    predict(model, tmp_path / "many", tmp_path / "out.json", render=str(tmp_path / "drawn"))
    assert sorted(file.name for file in (tmp_path / "drawn").iterdir()) == [
        "one.npy.mp4",
        "two.npy.mp4",
    ]
    with pytest.raises(InputError, match=r"is one file, but there are several recordings"):
        predict(model, tmp_path / "many", tmp_path / "out.json", render=str(tmp_path / "a.mp4"))


def test_videos_that_show_nothing_have_a_reason(model: str, video: Path, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "good.mp4").write_bytes(video.read_bytes())
    (folder / "empty.mp4").write_bytes(encode([scene()] * 5))
    (folder / "text.mp4").write_text("not a video")
    (folder / "sound.mp4").write_bytes(sound())
    (folder / "cut.mp4").write_bytes(video.read_bytes()[:-2000])
    rows = {row["input"]: row for row in predict(model, folder, tmp_path / "out.json")}
    assert len(rows) == 5 and rows["good.mp4"]["reason"] == ""
    for name, reason in (
        ("empty.mp4", "shows nobody"),
        ("text.mp4", "cannot be decoded"),
        ("sound.mp4", "no video stream"),
        ("cut.mp4", "cannot be used"),
    ):
        assert reason in str(rows[name]["reason"]), rows[name]


def test_options_of_videos_out_of_range_are_refused(
    model: str, video: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="max_bodies must be 1 to 32"):
        predict(model, video, tmp_path / "out.json", max_bodies=0)
    with pytest.raises(InputError, match="focal must be above 0"):
        predict(model, video, tmp_path / "out.json", focal=-1.0)
