"""Videos that show predictions: on the images of a recording, or its skeleton alone."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.checks.names import check_name
from hhmnet_core.deploy.timeline import Window
from hhmnet_core.errors import InputError
from hhmnet_core.rendering.canvas import HEIGHT, WIDTH, place_on_canvas
from hhmnet_core.rendering.encoding import DEFAULT_RATE, ENDINGS, write_video
from hhmnet_core.rendering.overlay import Overlay
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.sources.video_decoding import Image, NoVideoError
from hhmnet_core.store.clips import Float32Array
from hhmnet_platform.serving.inputs import Recorded
from hhmnet_platform.serving.predictions import NOBODY

_BACKGROUND = 30  # grey of an empty canvas, of 255


def render(
    recorded: Recorded,
    probabilities_tk: NDArray[np.float64],
    layout: Layout,
    class_names: Sequence[str],
    threshold: float,
    out: str,
    empty: Sequence[Window] = (),
) -> None:
    """Write the video of a prediction.

    Args:
        recorded: The recording.
        probabilities_tk: (T, K) probabilities at each frame of its clip.
        layout: Layout of the clip.
        class_names: K names of the classes.
        threshold: Confidence below which a frame is unsure.
        out: Path or URI of the video.
        empty: Stretches of its clip in which nobody is in view.

    Raises:
        InputError: A video that cannot be read or written.
    """
    notes = [""] * len(probabilities_tk)
    shown_tk = probabilities_tk.copy()
    for start, stop in empty:
        notes[start:stop] = [NOBODY] * (stop - start)
        shown_tk[start:stop] = 0
    overlay = Overlay(layout, class_names, shown_tk, threshold, notes)
    rate = recorded.fps or DEFAULT_RATE
    try:
        write_video(_images(recorded, overlay, layout), rate, out)
    except NoVideoError as error:
        raise InputError(f"{recorded.clip.sample_id} cannot be drawn: {error}.") from error


def render_target(render: str, name: str, is_single: bool) -> str:
    """Return the file of a recording's video: in a folder, its whole name with .mp4 behind it.

    Args:
        render: File, or folder for several recordings, as the user gave it.
        name: Name of the recording.
        is_single: Whether it is the only one.

    Raises:
        InputError: A file for several recordings, or a name that leads out of the folder.
    """
    if render.lower().endswith(ENDINGS):
        if not is_single:
            raise InputError(
                f"--render {render} is one file, but there are several recordings: give a folder."
            )
        return render
    for part in name.split("/"):
        check_name(part, "name of a recording to draw")
    return f"{render.rstrip('/')}/{name}.mp4"


def _images(recorded: Recorded, overlay: Overlay, layout: Layout) -> Iterator[Image]:
    if recorded.filmed is None:
        pixels = place_on_canvas(recorded.clip.joints, layout)
        blank = np.full((HEIGHT, WIDTH, 3), _BACKGROUND, np.uint8)
        for frame in range(pixels.shape[1]):
            yield overlay.draw(blank, pixels[:, frame], frame)
        return
    posed = recorded.filmed.posed
    last = posed.pixels.shape[1] - 1
    nobody: Float32Array = np.full((1, layout.num_joints, 2), np.nan, np.float32)
    for number, image in enumerate(recorded.filmed.images()):
        frame = number - posed.first
        shown = posed.pixels[:, frame] if 0 <= frame <= last else nobody
        yield overlay.draw(image, shown, min(max(frame, 0), last))
