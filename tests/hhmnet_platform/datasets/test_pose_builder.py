"""A store from real videos, with BlazePose."""

import csv
from pathlib import Path

import numpy as np
import pytest
from person_videos import encode, moving, scene, sound

from hhmnet_core.errors import InputError
from hhmnet_core.poses.blazepose.estimator import BlazePoseConfig
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.store.reading import load_clips
from hhmnet_platform.datasets.pose_builder import prepare_poses

VIDEO = VideoConfig(frames=2, size=32)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, pose_models: None) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    (folder / "a.mp4").write_bytes(encode(moving(6)))
    (folder / "b.mp4").write_bytes(encode(moving(6, step=-4, start=60)))
    (folder / "two.mp4").write_bytes(encode([scene((10, 10), (380, 20), width=720)] * 4))
    (folder / "nobody.mp4").write_bytes(encode([scene()] * 4))
    (folder / "sound.mp4").write_bytes(sound())
    (folder / "text.mp4").write_text("no video")
    names = ("a", "b", "two", "nobody", "sound", "text", "absent")
    rows = (
        f"{name},{'wave' if name < 'b' else 'clap'},{i % 2},{name}.mp4"
        for i, name in enumerate(names)
    )
    (folder / "labels.csv").write_text("\n".join(("sample_id,label,subject,video", *rows)) + "\n")
    return folder


def test_videos_become_a_store_and_what_is_none_is_listed(videos: Path, tmp_path: Path) -> None:
    store, labels = str(tmp_path / "store"), str(videos / "labels.csv")
    prepared = prepare_poses(str(videos), labels, store, video=VIDEO, workers=1)
    manifest = prepared.manifest
    assert (manifest.layout, manifest.num_clips) == ("blazepose_33", 3)
    assert manifest.left_out["clips in quarantine"] == 4
    rows = csv.reader((tmp_path / "store" / "left_out.csv").open())
    reasons = {name: why for what, name, why in rows if what == "clip"}
    assert reasons.keys() == {"nobody", "sound", "text", "absent"}
    assert all(why.startswith(f"{name}.mp4 of {name}") for name, why in reasons.items())
    assert "--blazepose.min_score (0.5)" in reasons["nobody"]
    assert manifest.visual and manifest.visual.clips == 3
    clips = load_clips(store, tmp_path / "cache")
    assert clips.num_bodies.tolist() == [1, 1, 2]
    assert not prepare_poses(str(videos), labels, store, video=VIDEO, workers=1).written
    with pytest.raises(InputError, match=r"something else .*blazepose\.min_score"):
        other = BlazePoseConfig(min_score=0.6)
        prepare_poses(str(videos), labels, store, video=VIDEO, blazepose=other, workers=1)


@pytest.mark.integration
@pytest.mark.slow
def test_processes_build_the_same_store(videos: Path, tmp_path: Path) -> None:
    digests = []
    for workers in (1, 2):
        prepared = prepare_poses(
            str(videos), str(videos / "labels.csv"), str(tmp_path / f"store{workers}"),
            "kinect_v2_25", stream="none", workers=workers,
        )  # fmt: skip
        digests.append(prepared.manifest.digest)
        assert prepared.manifest.layout == "kinect_v2_25" and prepared.manifest.visual is None
    assert digests[0] == digests[1]


def test_without_any_usable_video_there_is_no_store(videos: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("sample_id,label,subject,video\nx,a,1,text.mp4\ny,b,2,sound.mp4\n")
    with pytest.raises(InputError, match="None of the 2 recordings can be read; the first: text"):
        prepare_poses(str(videos), str(labels), str(tmp_path / "store"), workers=1)
    with pytest.raises(InputError, match=r"sound\.mp4 of y cannot be used|text\.mp4 of x"):
        prepare_poses(str(videos), str(labels), str(tmp_path / "other"), on_error="fail", workers=1)


def test_two_dimensional_stores_hold_pixels(videos: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("sample_id,label,subject,video\na,a,1,a.mp4\nb,b,2,b.mp4\n")
    store = str(tmp_path / "store")
    prepare_poses(str(videos), str(labels), store, "coco_17", video=VIDEO, workers=1)
    clips = load_clips(store, tmp_path / "cache")
    noses = [clips.clip(i).joints[0, :, 0] for i in range(2)]
    for nose, step in zip(noses, (4, -4), strict=True):
        assert abs(np.diff(nose[:, 0]).mean() - step) < 2
