"""Drawing one image of a prediction: skeletons, the action, the likeliest classes, a timeline.

Axes: M bodies, T frames, V joints, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from hhmnet_core.rendering.colours import BLACK, GREY, PARTS, WHITE, class_colour
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.sources.video_decoding import Image
from hhmnet_core.store.clips import Float32Array

UNSURE = "unsure"
SHOWN = 3  # classes with a bar
_STRIP = 0.06  # height of the timeline, of the image's height


@dataclass(frozen=True)
class Overlay:
    """The prediction that is drawn on the images of a recording.

    Attributes:
        layout: Layout of the joints.
        class_names: K names.
        probabilities: (T, K) probabilities at each frame.
        threshold: Confidence below which a frame is unsure.
        notes: T texts that are shown in place of an action where nothing is predicted, "" where
            something is. Empty: something is predicted at all frames.
    """

    layout: Layout
    class_names: Sequence[str]
    probabilities: NDArray[np.float64]
    threshold: float
    notes: Sequence[str] = ()

    def draw(self, image: Image, pixels_mv2: Float32Array, frame: int) -> Image:
        """Return an image with the skeletons and the prediction of a frame.

        Args:
            image: (H, W, 3) uint8 RGB.
            pixels_mv2: (M, V, 2) joints in the image, NaN where unknown.
            frame: Number of the frame.
        """
        picture = Picture.fromarray(image)
        pen = ImageDraw.Draw(picture, "RGBA")
        for body in pixels_mv2:
            self._skeleton(pen, body, picture.height)
        self._bars(pen, frame, picture.width, picture.height)
        picture.paste(self._strip(picture.width, picture.height), (0, self._top(picture.height)))
        cursor = round((frame + 0.5) / len(self.probabilities) * picture.width)
        box = (cursor - 1, self._top(picture.height), cursor + 1, picture.height)
        ImageDraw.Draw(picture).rectangle(box, WHITE)
        return np.asarray(picture, np.uint8)

    def action(self, frame: int) -> str:
        """Return the action that is shown at a frame, "unsure" below the threshold, or its note."""
        if note := self._note(frame):
            return note
        shares = self.probabilities[frame]
        sure = shares.max() >= self.threshold
        return self.class_names[int(shares.argmax())] if sure else UNSURE

    def _note(self, frame: int) -> str:
        return self.notes[frame] if self.notes else ""

    @cached_property
    def _colour_of_joint(self) -> list[tuple[int, int, int]]:
        part_of = {joint: part for part, joints in self.layout.parts.items() for joint in joints}
        return [PARTS.get(part_of.get(joint, ""), WHITE) for joint in range(self.layout.num_joints)]

    def _skeleton(self, pen: ImageDraw.ImageDraw, body_v2: Float32Array, height: int) -> None:
        width = max(2, round(height / 160))
        for child, parent in self.layout.bones:
            ends = body_v2[[child, parent]]
            if np.isfinite(ends).all():
                pen.line([tuple(end) for end in ends.tolist()], self._colour_of_joint[child], width)
        for joint, (x, y) in enumerate(body_v2.tolist()):
            if np.isfinite(x + y):
                pen.ellipse(
                    (x - width, y - width, x + width, y + width),
                    self._colour_of_joint[joint],
                    BLACK,
                )

    def _bars(self, pen: ImageDraw.ImageDraw, frame: int, width: int, height: int) -> None:
        """Draw the action, and the likeliest classes as bars, in the upper left corner."""
        size = max(10, round(height / 26))
        title, font = ImageFont.load_default(1.35 * size), ImageFont.load_default(size)
        shares = self.probabilities[frame]
        order = np.argsort(-shares, kind="stable")[: 0 if self._note(frame) else SHOWN].tolist()
        lines = [self.action(frame), *(f"{self.class_names[k]}  {shares[k]:.0%}" for k in order)]
        wide = max([pen.textlength(lines[0], title), *(pen.textlength(t, font) for t in lines[1:])])
        box_width = min(width, round(wide + 2 * size))
        row = round(1.6 * size)
        pen.rectangle((0, 0, box_width, round(2.2 * size) + row * len(order)), (0, 0, 0, 150))
        is_unsure = lines[0] == UNSURE or not order
        pen.text((size // 2, size // 3), lines[0], GREY if is_unsure else WHITE, title)
        for number, (k, text) in enumerate(zip(order, lines[1:], strict=True)):
            top = round(2.2 * size) + number * row
            bar = round(shares[k] * box_width)
            pen.rectangle((0, top, bar, top + row - 3), (*class_colour(k), 170))
            pen.text((size // 2, top), text, WHITE, font)

    def _top(self, height: int) -> int:
        return height - max(6, round(_STRIP * height))

    def _strip(self, width: int, height: int) -> Picture.Image:
        """Return the timeline: the colour of the action, as high as it is probable."""
        if self._strips.get((width, height)) is None:
            self._strips[width, height] = self._make_strip(width, height - self._top(height))
        return self._strips[width, height]

    @cached_property
    def _strips(self) -> dict[tuple[int, int], Picture.Image]:
        return {}

    def _make_strip(self, width: int, height: int) -> Picture.Image:
        frames = np.minimum(
            np.arange(width) * len(self.probabilities) // width, len(self.probabilities) - 1
        )
        shares = self.probabilities[frames]
        best, confidence = shares.argmax(1), shares.max(1)
        colours = np.array([class_colour(k) for k in range(len(self.class_names))], np.uint8)[best]
        colours[confidence < self.threshold] = GREY
        strip = np.full((height, width, 3), 24, np.uint8)
        filled = np.arange(height)[:, None] >= height * (1 - confidence)[None]
        strip[filled] = np.broadcast_to(colours, strip.shape)[filled]
        return Picture.fromarray(strip)
