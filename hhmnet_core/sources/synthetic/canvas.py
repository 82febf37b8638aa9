"""Drawing capsules into an image with a depth buffer.

Coordinates are the camera's, as its skeletons have them: x right, y up, z away, in metres.
"""

import numpy as np

from hhmnet_core.sources.synthetic.figure import Array

WIDTH, HEIGHT = 160, 120  # pixels
FOCAL = 0.82 * WIDTH  # pixels; the Kinect's field of view
AMBIENT = 0.4  # share of the light that comes from everywhere
_NEAREST = 0.3  # metres; what is closer is not drawn


class Canvas:
    """An image in progress, and the depth of what each pixel shows.

    Args:
        background: (HEIGHT, WIDTH, 3) RGB, infinitely far away.
        light: (3,) direction towards the light.
    """

    def __init__(self, background: Array, light: Array) -> None:
        self.colour = background.copy()
        self.depth = np.full(background.shape[:2], np.inf)
        self.light = light

    def capsule(
        self, start: Array, stop: Array, radius: float, colour: Array, stripes: float = 0.0
    ) -> None:
        """Draw a capsule where nothing nearer is drawn.

        Args:
            start: (3,) one end of the axis.
            stop: (3,) other end of the axis.
            radius: Metres.
            colour: (3,) RGB.
            stripes: Number of stripes around it, over its length.
        """
        if min(start[2], stop[2]) < _NEAREST:
            return
        (x0, y0), (x1, y1) = (_pixel(end) for end in (start, stop))
        border = FOCAL * radius / min(start[2], stop[2])
        left, right = max(int(min(x0, x1) - border), 0), min(int(max(x0, x1) + border) + 2, WIDTH)
        top, bottom = max(int(min(y0, y1) - border), 0), min(int(max(y0, y1) + border) + 2, HEIGHT)
        if left >= right or top >= bottom:
            return
        x = np.arange(left, right) + 0.5 - x0
        y = (np.arange(top, bottom) + 0.5 - y0)[:, None]
        length2 = max((x1 - x0) ** 2 + (y1 - y0) ** 2, 1e-9)
        along = ((x * (x1 - x0) + y * (y1 - y0)) / length2).clip(0, 1)
        depth = start[2] + along * (stop[2] - start[2])
        size = FOCAL * radius / depth
        across_x = (x - along * (x1 - x0)) / size
        across_y = (y - along * (y1 - y0)) / size
        bulge2 = 1 - across_x**2 - across_y**2
        bulge = np.sqrt(bulge2.clip(0, None))
        depth = depth - radius * bulge
        window = np.s_[top:bottom, left:right]
        visible = (bulge2 > 0) & (depth < self.depth[window])
        slope = across_x * self.light[0] - across_y * self.light[1] - bulge * self.light[2]
        shade = AMBIENT + (1 - AMBIENT) * slope.clip(0, None)
        if stripes:
            shade = shade * (1 + 0.25 * np.sign(np.sin(2 * np.pi * stripes * along)))
        self.colour[window][visible] = (shade[..., None] * colour)[visible]
        self.depth[window][visible] = depth[visible]


def _pixel(point: Array) -> tuple[float, float]:
    x, y, z = (float(value) for value in point)
    return WIDTH / 2 + FOCAL * x / z, HEIGHT / 2 - FOCAL * y / z
