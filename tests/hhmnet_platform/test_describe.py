"""What a store holds, in words and drawn, and whether it is whole."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from hhmnet_core.errors import InputError
from hhmnet_platform.describe import counted, describe, draw_store, verify
from hhmnet_platform.prepare import prepare_synthetic


@pytest.fixture
def store(tmp_path: Path) -> str:
    prepare_synthetic(str(tmp_path / "store"), clips_per_class=2)
    return str(tmp_path / "store")


def test_whole_store_is_said_to_be_whole(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    verify(store)
    assert f"{store} is whole: 36 clips in 1 shard" in capsys.readouterr().out


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
    said = capsys.readouterr().out
    assert "synthetic" in said and "cross-subject" in said
    pixels = imread(tmp_path / "shown" / "store.png")
    assert pixels.shape[:2] == (1100, 1400) and np.ptp(pixels) == 1


def test_figure_counts_what_the_store_holds(store: str) -> None:
    manifest = prepare_synthetic(store, clips_per_class=2).manifest
    titles = {axis.get_title(): axis for axis in draw_store(store, manifest).axes}
    bars = titles["clips of each class"].patches
    assert [bar.get_height() for bar in bars] == [2] * 18
    assert [b.get_height() for b in titles["clips of each subject"].patches] == [18, 18]
    assert sum(title.startswith(tuple(manifest.class_names)) for title in titles) == 6


def test_figure_that_cannot_be_written_is_one_error(store: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"Cannot write x\.png"):
        describe(store, str(tmp_path / "file" / "x.png"))


def test_numbers_are_counted_in_words() -> None:
    assert (counted(1, "clip"), counted(2000, "clip")) == ("1 clip", "2,000 clips")
