"""Videos of a store: mapped from a file, decoded on demand or at once."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from video_files import VideoClips, decode_jpeg, write_video_store

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.footage import FootageReader, check_enough_filmed, load_footage
from hhmnet_core.store.protocols import LITERATURE, VAL, Split
from hhmnet_core.store.reading import read_manifest

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video_store(tmp_path_factory.mktemp("films"))


def test_footage_equals_the_videos_of_the_store(store: Path, tmp_path: Path) -> None:
    footage = load_footage(store, tmp_path)
    again = load_footage(store, tmp_path)  # from the node's file
    assert len(footage) == 54 and footage.joints_nmfv2.shape == (54, 2, 4, 20, 2)
    for number, name in enumerate(VideoClips.names):
        clip = VideoClips().clip(name)
        assert footage.has_video_n[number] == (clip.video is not None)
        if clip.video is None:
            assert np.isnan(footage.joints_nmfv2[number]).all()
            continue
        bodies = len(clip.joints)
        np.testing.assert_array_equal(footage.positions_nf[number], clip.video.positions)
        np.testing.assert_array_equal(footage.joints_nmfv2[number, :bodies], clip.video.joints)
        assert np.isnan(footage.joints_nmfv2[number, bodies:]).all()
        for each in (footage, again):
            expected = np.stack([decode_jpeg(file) for file in clip.video.images])
            np.testing.assert_array_equal(each.decode(number), expected)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("quality", [60, 90])
def test_decoded_pixels_are_those_of_pillow(
    store: Path, tmp_path: Path, mode: str, quality: int
) -> None:
    random = np.random.default_rng(quality)
    coarse = random.integers(0, 255, (14, 14, 3), np.uint8)
    image = Image.fromarray(coarse).resize((112, 112), Image.Resampling.BICUBIC).convert(mode)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    footage = load_footage(store, tmp_path)
    files = pa.chunked_array([pa.array([[file.getvalue()]], pa.large_list(pa.large_binary()))])
    decoded = replace(footage, files=files).decode(0)[0]
    expected = Image.open(io.BytesIO(file.getvalue())).convert("RGB")
    np.testing.assert_array_equal(decoded, expected)


def test_images_are_the_same_from_the_device_and_from_the_file(store: Path, tmp_path: Path) -> None:
    footage = load_footage(store, tmp_path)
    chosen = torch.tensor([7, 0, 52, 7])
    kept, read = (FootageReader(footage, CPU, resident).images(chosen) for resident in (1, 0))
    assert kept.shape == (4, 4, 3, 32, 32) and kept.dtype == torch.uint8
    assert torch.equal(kept, read)
    expected = torch.from_numpy(footage.decode(52)).permute(0, 3, 1, 2)
    assert torch.equal(read[2], expected)


def test_store_without_video_is_named(tiny_store: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no video: prepare the data set again with video"):
        load_footage(tiny_store, tmp_path)


def test_damaged_cache_is_written_again(store: Path, tmp_path: Path) -> None:
    load_footage(store, tmp_path)
    (file,) = tmp_path.glob("*.video.v1.arrow")
    whole = file.read_bytes()
    file.write_bytes(b"damaged")
    assert len(load_footage(store, tmp_path)) == 54
    assert file.read_bytes() == whole


def test_number_of_images_that_differs_from_the_manifest_is_refused(tmp_path: Path) -> None:
    store = write_video_store(tmp_path / "store")
    manifest = read_manifest(store)
    assert manifest.visual
    wrong = replace(manifest, visual=replace(manifest.visual, frames=5))
    (store / "manifest.json").write_text(wrong.to_json())
    with pytest.raises(InputError, match=r"Clip clip00 has 4 images, but the manifest .* has 5"):
        load_footage(store, tmp_path / "cache")


def test_every_needed_split_must_have_videos() -> None:
    some, none = np.arange(2), np.arange(0)
    check_enough_filmed(Split(some, none, some), LITERATURE)
    check_enough_filmed(Split(some, some, some), VAL)
    for split, selection, listed in (
        (Split(none, none, some), LITERATURE, "0 of train, 2 of test"),
        (Split(some, none, some), VAL, "2 of train, 0 of val, 2 of test"),
        (Split(some, none, some), "fold-1-of-2", "0 of val"),
    ):
        with pytest.raises(InputError, match=f"Too few clips have a video .*{listed}"):
            check_enough_filmed(split, selection)
