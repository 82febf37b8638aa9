"""Drawings of predictions: colours where joints, bars and the timeline are."""

import numpy as np
import pytest

from hhmnet_core.rendering.colours import GREY, PARTS, WHITE, class_colour
from hhmnet_core.rendering.overlay import Overlay
from hhmnet_core.skeleton.layouts import get_layout

LAYOUT = get_layout("kinect_v1_20")
HEIGHT, WIDTH = 480, 640
BLANK = np.full((HEIGHT, WIDTH, 3), 30, np.uint8)
SHARES = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.45, 0.55]])


@pytest.fixture
def overlay() -> Overlay:
    return Overlay(LAYOUT, ("wave", "walk"), SHARES, 0.6)


def pixels_at(x: float, y: float) -> np.ndarray:
    """Return joints of which only the left hand and the left wrist are known."""
    pixels = np.full((1, 20, 2), np.nan, np.float32)
    pixels[0, [LAYOUT.joint("left_wrist"), LAYOUT.joint("left_hand")]] = [[x - 40, y], [x, y]]
    return pixels


def test_bones_and_joints_have_the_colour_of_their_part(overlay: Overlay) -> None:
    drawn = overlay.draw(BLANK, pixels_at(500, 300), 0)
    assert tuple(drawn[300, 500]) == PARTS["left_arm"]
    assert tuple(drawn[300, 480]) == PARTS["left_arm"]
    assert tuple(drawn[200, 500]) == (30, 30, 30)
    assert (BLANK == 30).all()  # the image itself is left alone


def test_the_action_is_unsure_below_the_threshold(overlay: Overlay) -> None:
    assert [overlay.action(frame) for frame in range(4)] == ["wave", "wave", "walk", "unsure"]


def test_the_timeline_has_the_colour_and_height_of_each_frame(overlay: Overlay) -> None:
    nobody = np.full((1, 20, 2), np.nan, np.float32)
    drawn = overlay.draw(BLANK, nobody, 0)
    bottom = HEIGHT - 1
    assert tuple(drawn[bottom, 10]) == class_colour(0)
    assert tuple(drawn[bottom, WIDTH * 5 // 8]) == class_colour(1)
    assert tuple(drawn[bottom, WIDTH - 10]) == GREY
    strip = HEIGHT - round(0.06 * HEIGHT)
    heights = [
        (drawn[strip:, column] != 24).any(-1).mean() for column in (10, WIDTH * 5 // 8, WIDTH - 10)
    ]
    assert heights == pytest.approx([0.9, 0.8, 0.55], abs=0.04)
    assert tuple(drawn[bottom, WIDTH // 8]) == WHITE  # the cursor of frame 0 of 4
    assert tuple(overlay.draw(BLANK, nobody, 3)[bottom, WIDTH * 7 // 8]) == WHITE


def test_the_likelier_class_has_the_longer_bar(overlay: Overlay) -> None:
    nobody = np.full((1, 20, 2), np.nan, np.float32)
    wave, walk = (overlay.draw(BLANK, nobody, frame)[:120, :200] for frame in (0, 2))
    assert (wave != walk).any()
    assert not (wave == 30).all()


def test_classes_have_different_colours() -> None:
    assert len({class_colour(index) for index in range(60)}) == 60
