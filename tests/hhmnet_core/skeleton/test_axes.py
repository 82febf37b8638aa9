"""The order of the axes: what is read as it is, what is asked, and what cannot be."""

import numpy as np
import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.axes import arrange, axes_of, check_axes, check_fit, check_shapes
from hhmnet_core.skeleton.layouts import get_layout

COCO, KINECT = get_layout("coco_17"), get_layout("kinect_v2_25")


@pytest.mark.parametrize("axes", ["TVC", "CTV", "MTVC", "CTVM", "TMVC", "VMCT"])
def test_array_of_any_order_is_arranged(axes: str) -> None:
    sizes = {"M": 2, "T": 5, "V": 4, "C": 3}
    array = np.arange(120 if "M" in axes else 60, dtype=np.float32)
    array = array.reshape([sizes[letter] for letter in axes])
    arranged = arrange(array, axes)
    assert arranged.shape == (2 if "M" in axes else 1, 5, 4, 3)
    for index in np.ndindex(arranged.shape):
        at = dict(zip("MTVC", index, strict=True))
        assert arranged[index] == array[tuple(at[letter] for letter in axes)]


@pytest.mark.parametrize("axes", ["", "TV", "TVCX", "MTVCN", "TTVC", "tvc"])
def test_what_is_no_order_is_refused(axes: str) -> None:
    with pytest.raises(InputError, match="each once, such as CTVM"):
        check_axes(axes)


RIGHT = {
    "single bodies": {"a": (48, 17, 2), "b": (90, 17, 2)},
    "with confidence": {"a": (48, 17, 3), "b": (90, 17, 3)},
    "several bodies": {"a": (1, 48, 17, 2), "b": (2, 90, 17, 2), "c": (3, 20, 17, 2)},
    "single and several": {"a": (48, 17, 2), "b": (2, 90, 17, 2)},
    "another layout too": {"a": (48, 17, 2), "b": (48, 20, 3)},
}


@pytest.mark.parametrize("kind", RIGHT)
def test_files_that_can_be_read_in_one_way_pass(kind: str) -> None:
    check_shapes(RIGHT[kind], COCO)


ASKED = {
    "ST-GCN": ({"a": (3, 300, 17, 2), "b": (3, 90, 17, 2)}, "CTVM"),
    "two bodies": ({"a": (2, 48, 17, 2), "b": (2, 90, 17, 2)}, "CTVM"),
    "bodies behind frames": ({"a": (48, 1, 17, 2), "b": (90, 1, 17, 2)}, "TMVC"),
    "as many frames as joints": ({"a": (17, 17, 2)}, "VTC"),
}


@pytest.mark.parametrize("kind", ASKED)
def test_files_that_may_be_of_another_order_are_asked(kind: str) -> None:
    shapes, likely = ASKED[kind]
    with pytest.raises(
        InputError, match=f"It may be {likely}: .* Give --axes {likely} if"
    ) as caught:
        check_shapes(shapes, COCO)
    assert "\n" not in str(caught.value)


def test_unusual_reading_is_asked() -> None:
    with pytest.raises(InputError, match="2 frames, 17 joints, 2 coordinates, which is unusual"):
        check_shapes({"a": (2, 17, 2)}, COCO)


def test_order_that_would_fit_is_suggested() -> None:
    with pytest.raises(InputError, match="It may be CTVM: 2 bodies, 300 frames, 25 joints, 3 c"):
        check_fit((3, 300, 25, 2), "MTVC", KINECT)
    with pytest.raises(InputError, match="give the layout that it was recorded in"):
        check_fit((3, 300, 24, 2), "MTVC", KINECT)
    check_fit((3, 300, 25, 2), "CTVM", KINECT)


def test_number_of_axes_must_fit() -> None:
    assert axes_of((5, 17, 2)) == "TVC" and axes_of((1, 5, 17, 2)) == "MTVC"
    assert axes_of((2, 5, 17, 1), "CTVM") == "CTVM"
    with pytest.raises(
        InputError, match=r"shape \(4, 60\), expected \(T, V, C\) or \(M, T, V, C\)"
    ):
        axes_of((4, 60))
    with pytest.raises(InputError, match=r"shape \(4, 17, 2\), expected \(C, T, V, M\)"):
        axes_of((4, 17, 2), "CTVM")


def test_the_file_that_makes_a_reading_unusual_is_named() -> None:
    shapes = {"a.npy": (2, 30, 20, 3), "odd.npy": (2, 1, 20, 3), "z.npy": (1, 40, 20, 3)}
    with pytest.raises(InputError, match=r"^odd.npy has the shape .* which is unusual"):
        check_shapes(shapes, get_layout("kinect_v1_20"))
