"""Colours of classes, bodies and body parts."""

import colorsys

Colour = tuple[int, int, int]

WHITE, GREY, BLACK = (255, 255, 255), (130, 130, 130), (0, 0, 0)
PARTS: dict[str, Colour] = {
    "head": (255, 214, 10),
    "torso": (240, 240, 240),
    "left_arm": (51, 160, 255),
    "left_leg": (102, 217, 239),
    "right_arm": (255, 99, 71),
    "right_leg": (255, 170, 80),
}
_GOLDEN = 0.618_034  # successive multiples of it, modulo 1, keep apart from each other


def class_colour(index: int) -> Colour:
    """Return the colour of a class; classes of neighbouring numbers differ most."""
    red, green, blue = colorsys.hsv_to_rgb(index * _GOLDEN % 1, 0.65, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)
