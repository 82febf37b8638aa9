"""Describing a clip store: tables, figures, and the check for damage."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from video_files import write_own_data

from hhmnet_core.errors import InputError
from hhmnet_core.store.reading import load_clips
from hhmnet_platform.datasets.builders import prepare_own, prepare_synthetic
from hhmnet_platform.datasets.describe import describe, draw_store, verify


@pytest.fixture
def store(tmp_path: Path) -> str:
    prepare_synthetic(str(tmp_path / "store"), clips_per_class=2, stream="none")
    return str(tmp_path / "store")


def test_undamaged_store_is_reported(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    verify(store)
    assert f"{store} is undamaged: 42 clips in 1 shard" in capsys.readouterr().out


def test_damaged_shard_is_named(store: str) -> None:
    shard = Path(store, "clips-00000.parquet")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(InputError, match=r"clips-00000\.parquet .* is damaged \(its sha256"):
        verify(store)


def test_store_is_described_and_drawn(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    describe(store, str(tmp_path / "shown" / "store.png"))
    text = capsys.readouterr().out
    assert "synthetic" in text and "cross-subject" in text
    digest = load_clips(store, tmp_path / "cache").skeletons
    assert f"Digest of the skeletons, which identifies the data of phase 1: {digest}" in text
    pixels = imread(tmp_path / "shown" / "store.png")
    assert pixels.shape[:2] == (1100, 1400) and np.ptp(pixels) == 1


def test_figure_shows_the_clips_of_the_store(store: str) -> None:
    manifest = prepare_synthetic(store, clips_per_class=2, stream="none").manifest
    titles = {axis.get_title(): axis for axis in draw_store(store, manifest).axes}
    bars = titles["clips of each class"].patches
    assert [bar.get_height() for bar in bars] == [2] * 21
    assert [b.get_height() for b in titles["clips of each subject"].patches] == [21, 21]
    assert sum(title.startswith(tuple(manifest.class_names)) for title in titles) == 6


def test_figure_that_cannot_be_written_is_one_error(store: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"Cannot write x\.png"):
        describe(store, str(tmp_path / "file" / "x.png"))


def test_images_of_a_store_with_video_are_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = write_own_data(tmp_path)
    prepare_own(index, "kinect_v1_20", str(tmp_path / "store"), workers=1)
    describe(str(tmp_path / "store"), str(tmp_path / "mine.png"))
    text = " ".join(capsys.readouterr().out.split())
    assert "rgb, 1 clip of 8 images, 112 x 112; 100.0% of the joints inside" in text
    assert "clips without video" in text and "left_out.csv" in text
    pixels = imread(tmp_path / "mine-video.png")
    assert pixels.shape[1] == 1360 and np.ptp(pixels) > 0.9


def test_test_clips_that_are_copies_of_training_clips_are_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, joints in zip(
        "xyz", np.random.default_rng(3).normal(size=(3, 8, 20, 3)), strict=True
    ):
        np.save(tmp_path / f"{name}.npy", joints.astype(np.float32))
    rows = ("a,wave,1,x.npy", "b,wave,2,x.npy", "c,clap,1,y.npy", "d,clap,2,z.npy")
    (tmp_path / "clips.csv").write_text("\n".join(("sample_id,label,subject,skeleton", *rows)))
    prepare_own(str(tmp_path / "clips.csv"), "kinect_v1_20", str(tmp_path / "store"), workers=1)
    describe(str(tmp_path / "store"), str(tmp_path / "store.png"))
    note = (
        "note: 1 of 2 test clips of protocol cross-subject are copies of training clips, such as b"
    )
    assert note in capsys.readouterr().out
