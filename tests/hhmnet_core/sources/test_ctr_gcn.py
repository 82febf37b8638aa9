"""Padded arrays of CTR-GCN's scripts: clips without padding, labels, and every mistake in them."""

import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from field_files import PADDED, padded_arrays, write_padded
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.sources.ctr_gcn import LAYOUT, Recordings

KINECT = get_layout(LAYOUT)


def test_clips_are_the_rows_without_padding(tmp_path: Path) -> None:
    with Recordings(write_padded(tmp_path / "NTU60_CS.npz"), KINECT) as recordings:
        assert recordings.dataset == "NTU60_CS" and recordings.class_names == ("0", "1")
        arrays = padded_arrays()
        for split in ("train", "test"):
            for row, (x, y) in enumerate(
                zip(arrays[f"x_{split}"], arrays[f"y_{split}"], strict=True)
            ):
                digits = len(str(len(arrays[f"x_{split}"]) - 1))
                clip = recordings.clip(f"{split}-{row:0{digits}}")
                whole = x.reshape(PADDED, 2, 25, 3).transpose(1, 0, 2, 3)
                bodies, frames = clip.joints.shape[:2]
                np.testing.assert_array_equal(clip.joints, whole[:bodies, :frames])
                assert not whole[:, frames:].any() and not whole[bodies:].any()
                assert clip.label == y.argmax() and clip.missing is None
                assert not clip.joints[0, 0, 1].any()  # on which it is centred
                assert clip.dropped["frames of padding"] == PADDED - frames
    assert recordings.protocols["given"].val


def test_rows_may_be_read_in_any_order(tmp_path: Path) -> None:
    with Recordings(write_padded(tmp_path / "a.npz"), KINECT) as recordings:
        forwards = [recordings.clip(name).joints for name in recordings.names]
        backwards = [recordings.clip(name).joints for name in reversed(recordings.names)]
        for one, other in zip(forwards, reversed(backwards), strict=True):
            np.testing.assert_array_equal(one, other)


def test_compressed_files_and_whole_labels_are_read_alike(tmp_path: Path) -> None:
    arrays = padded_arrays()
    numbers = {f"y_{split}": arrays[f"y_{split}"].argmax(1) for split in ("train", "test")}
    np.savez_compressed(tmp_path / "b.npz", **{**arrays, **numbers})
    with (
        Recordings(write_padded(tmp_path / "a.npz"), KINECT) as first,
        Recordings(str(tmp_path / "b.npz"), KINECT) as second,
    ):
        for name in first.names:
            one, other = first.clip(name), second.clip(name)
            np.testing.assert_array_equal(one.joints, other.joints)
            assert one.label == other.label


def test_large_file_is_read_in_little_memory(tmp_path: Path) -> None:
    clips = 400
    x = np.zeros((clips, 300, 150), np.float32)
    x[:, :5] = 1
    y = np.eye(2)[np.arange(clips) % 2]
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:4], y_test=y[:4])
    del x
    tracemalloc.start()
    with Recordings(str(tmp_path / "a.npz"), KINECT) as recordings:
        for name in recordings.names:
            recordings.clip(name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20 < (tmp_path / "a.npz").stat().st_size // 8


Y = padded_arrays()["y_train"]
MISTAKES: dict[str, tuple[dict[str, NDArray[Any] | None], str]] = {
    "no test": ({"x_test": None, "y_test": None}, "has no x_test, y_test: expected an .npz of CTR"),
    "one label": ({"y_train": Y[:-1]}, "has 12 rows in x_train, but 11 in y_train"),
    "two hot": ({"y_train": np.ones_like(Y)}, r"y_train of shape \(12, 2\) is not one-hot"),
    "no label": ({"y_train": np.zeros_like(Y)}, "is not one-hot"),
    "fraction": ({"y_train": Y[:, :1] + 0.5}, "has labels in y_train that are no whole"),
    "width": ({"x_train": np.ones((12, 30, 149), np.float32)}, "expected .* of layout kinect_v2"),
    "empty": (
        {"x_train": np.ones((0, 30, 150), np.float32), "y_train": Y[:0]}, "is of shape \\(0, 2\\)",
    ),
    "one class": (
        {f"y_{split}": np.eye(2)[[0] * count] for split, count in (("train", 12), ("test", 4))},
        "all clips have the label 0, expected two classes",
    ),
    "large label": ({"y_train": np.arange(12) * 10**8}, "has the label 1100000000, expected less"),
    "huge": ({"x_train": np.full((12, 30, 150), 1e300)}, "NaN or infinite: get it"),
    "axes": ({"x_train": np.ones((12, 30 * 150), np.float32)}, r"x of shape \(12, 4500\), "),
    "objects": ({"x_train": np.array([{}] * 12)}, "x_train.npy in .* is of shape .* and type obj"),
    "by columns": (
        {"x_train": np.asfortranarray(padded_arrays()["x_train"])}, "it is stored by columns",
    ),
    "nan": ({"x_train": np.full((12, 30, 150), np.nan, np.float32)}, "NaN or infinite: get it"),
    "nobody": ({"x_train": np.zeros((12, 30, 150), np.float32)}, "train-00 in .* shows nobody"),
}  # fmt: skip


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistake_is_named(kind: str, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    changes, message = MISTAKES[kind]
    path = write_padded(tmp_path / "a.npz", **changes)
    with pytest.raises(InputError, match=message) as caught, Recordings(path, KINECT) as read:
        read.clip("train-00")
    assert path in str(caught.value) and "\n" not in str(caught.value)
    assert not recwarn.list


def test_file_that_is_absent_cut_off_or_no_zip_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file at .*b\.npz: expected an .npz of CTR-GCN"):
        Recordings(str(tmp_path / "b.npz"), KINECT)
    content = Path(write_padded(tmp_path / "a.npz")).read_bytes()
    for spoilt in (b"", b"hello", content[: len(content) // 2]):
        (tmp_path / "b.npz").write_bytes(spoilt)
        with pytest.raises(InputError, match=r"b\.npz is not a whole \.npz"):
            Recordings(str(tmp_path / "b.npz"), KINECT)


def test_classes_may_be_named(tmp_path: Path) -> None:
    path = write_padded(tmp_path / "a.npz")
    with Recordings(path, KINECT, ["walk", "run"]) as recordings:
        assert recordings.class_names == ("walk", "run") and len(recordings.notes) == 1
    for classes, message in ((["walk"], "labels up to 1, but 1 classes"), (["a", "a"], "twice")):
        with pytest.raises(InputError, match=message):
            Recordings(path, KINECT, classes)


def test_shape_beyond_the_file_is_refused_unread(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as packed:
        for name, array in padded_arrays().items():
            with packed.open(f"{name}.npy", "w") as file:
                header = {"descr": "<f4", "fortran_order": False, "shape": array.shape}
                if name == "y_train":
                    header["shape"] = (10**12, 2)
                np.lib.format.write_array_header_1_0(file, header)
                file.write(array.astype("<f4").tobytes())
    with pytest.raises(InputError, match=r"y_train\.npy in .* too short for the shape \(10000"):
        Recordings(str(tmp_path / "a.npz"), KINECT)
