"""Where drawn predictions go."""

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.serving.rendering import render_target


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.npy", "drawn/a.npy.mp4"),
        ("take.1", "drawn/take.1.mp4"),
        ("take.2", "drawn/take.2.mp4"),
        ("deep/clip.json", "drawn/deep/clip.json.mp4"),
    ],
)
def test_each_recording_has_a_file_of_its_own_in_the_folder(name: str, expected: str) -> None:
    assert render_target("drawn/", name, is_single=False) == expected


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/x", "..", "a//b", "\x1b[2J", ".hidden"]
)
def test_names_that_lead_out_of_it_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="name of a recording to draw"):
        render_target("drawn", name, is_single=False)


def test_one_file_is_for_one_recording() -> None:
    assert render_target("a.mp4", "../x", is_single=True) == "a.mp4"
    with pytest.raises(InputError, match="give a folder"):
        render_target("a.mp4", "x", is_single=False)
