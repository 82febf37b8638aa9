"""Colour images of the synthetic figures: clothed bodies, things in their hands, a lit room.

Bodies and things are capsules, lit by their normals; the room is a floor and a wall with a pattern.
Coordinates are the camera's, as its skeletons have them: x right, y up, z away, in metres.

Axes: M bodies, T frames, V joints.
"""

import colorsys
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.sources.synthetic.canvas import AMBIENT, FOCAL, HEIGHT, WIDTH, Canvas
from hhmnet_core.sources.synthetic.figure import Array
from hhmnet_core.sources.video_decoding import Image

NOISE = 3.0  # of the image sensor, standard deviation in grey levels


class _Limb(NamedTuple):
    """A capsule between two joints of layout kinect_v1_20: radius in metres, and its garment."""

    start: int
    stop: int
    radius: float
    garment: str


_LIMBS = (
    _Limb(0, 1, 0.13, "shirt"), _Limb(1, 2, 0.13, "shirt"), _Limb(2, 3, 0.06, "skin"),
    _Limb(4, 8, 0.07, "shirt"), _Limb(4, 12, 0.08, "shirt"), _Limb(8, 16, 0.08, "shirt"),
    _Limb(12, 16, 0.10, "trousers"),
    _Limb(4, 5, 0.055, "shirt"), _Limb(5, 6, 0.045, "sleeve"), _Limb(6, 7, 0.045, "skin"),
    _Limb(8, 9, 0.055, "shirt"), _Limb(9, 10, 0.045, "sleeve"), _Limb(10, 11, 0.045, "skin"),
    _Limb(12, 13, 0.085, "trousers"), _Limb(13, 14, 0.06, "trousers"), _Limb(14, 15, 0.05, "shoes"),
    _Limb(16, 17, 0.085, "trousers"), _Limb(17, 18, 0.06, "trousers"), _Limb(18, 19, 0.05, "shoes"),
)  # fmt: skip
_NECK, _HEAD, _HEAD_RADIUS = 2, 3, 0.115
_ELBOW, _HAND = (5, 9), (7, 11)


class _Piece(NamedTuple):
    """A capsule of a thing in a hand: ends (along the grip, across it), radius in metres, RGB."""

    start: tuple[float, float]
    stop: tuple[float, float]
    radius: float
    colour: tuple[int, int, int]


THINGS = {
    "bottle": (
        _Piece((-0.08, 0.0), (0.18, 0.0), 0.060, (40, 110, 225)),
        _Piece((0.20, 0.0), (0.29, 0.0), 0.028, (235, 235, 235)),
    ),
    "banana": (
        _Piece((-0.12, 0.0), (0.06, 0.02), 0.045, (240, 210, 50)),
        _Piece((0.06, 0.02), (0.22, 0.12), 0.040, (240, 210, 50)),
    ),
    "hammer": (
        _Piece((-0.08, 0.0), (0.26, 0.0), 0.020, (120, 80, 45)),
        _Piece((0.27, -0.10), (0.27, 0.10), 0.050, (70, 85, 110)),
    ),
    "maraca": (
        _Piece((-0.08, 0.0), (0.18, 0.0), 0.020, (205, 165, 95)),
        _Piece((0.25, 0.0), (0.28, 0.0), 0.080, (205, 40, 50)),
    ),
    "phone": (_Piece((-0.07, 0.0), (0.09, 0.0), 0.042, (25, 25, 30)),),
}  # fmt: skip


@dataclass(frozen=True)
class Held:
    """A thing in a hand of body 0: one of `THINGS`, in the left (0) or right (1) hand."""

    thing: str
    side: int


@dataclass(frozen=True)
class Scene:
    """A clip without the sensor's errors.

    Attributes:
        joints: (M, T, 20, 3) joints of the bodies.
        up: (3,) upward direction.
        floor: Height of the floor along `up`, from the camera, in metres; negative.
        people: (M,) subject of each body. Skin and hair follow from it.
        held: Thing in a hand of the first body.
        key: Random key of the clip; the first number is the data set's seed.
    """

    joints: Array
    up: Array
    floor: float
    people: tuple[int, ...]
    held: Held | None
    key: tuple[int, ...]


def render(scene: Scene, frames: NDArray[np.int64]) -> list[Image]:
    """Draw the images (HEIGHT, WIDTH, 3) of frames (F,)."""
    random = np.random.default_rng([*scene.key, 1])
    light = _unit(random.uniform([-0.8, 0.3, -1.0], [0.8, 1.0, -0.3]))
    tint = random.uniform(0.75, 1.15) * random.uniform(0.92, 1.08, 3)
    room = _room(scene, light, random)
    outfits = [_draw_outfit(person, scene.key) for person in scene.people]
    jitter = random.uniform(0.85, 1.15) * random.uniform(0.95, 1.05, 3)
    images = []
    for frame in frames:
        canvas = Canvas(room, light)
        for joints_vc, outfit in zip(scene.joints[:, frame], outfits, strict=True):
            _draw_body(canvas, joints_vc, outfit)
        if scene.held:
            _draw_thing(canvas, scene.joints[0, frame], scene.held, jitter)
        noise = NOISE * random.standard_normal(canvas.colour.shape, dtype=np.float32)
        noisy = canvas.colour * tint + noise
        images.append(np.rint(noisy.clip(0, 255)).astype(np.uint8))
    return images


@dataclass(frozen=True)
class _Outfit:
    """RGB of each garment, of skin and hair, and the number of stripes of the shirt per limb."""

    colours: dict[str, Array]
    stripes: float


def _draw_outfit(person: int, key: tuple[int, ...]) -> _Outfit:
    """Draw an outfit: skin and hair per person, clothes per clip."""
    of_person = np.random.default_rng([key[0], person, 2])
    skin, hair = of_person.uniform(0.35, 0.95), of_person.uniform(0.05, 0.6)
    random = np.random.default_rng([*key, person, 3])
    shirt, trousers = _draw_colour(random, 0.3, 0.95), _draw_colour(random, 0.15, 0.6)
    bare = random.random() < 0.5
    skin_rgb = 255 * skin * np.array([1.0, 0.8, 0.68])
    return _Outfit(
        {
            "skin": skin_rgb,
            "hair": 255 * hair * np.array([1.0, 0.8, 0.6]),
            "shirt": shirt,
            "sleeve": skin_rgb if bare else shirt,
            "trousers": trousers,
            "shoes": _draw_colour(random, 0.1, 0.9),
        },
        stripes=float(random.choice([0.0, 0.0, 2.0, 4.0])),
    )


def _draw_body(canvas: Canvas, joints_vc: Array, outfit: _Outfit) -> None:
    for limb in _LIMBS:
        start, stop = joints_vc[limb.start], joints_vc[limb.stop]
        stripes = outfit.stripes if limb.garment == "shirt" else 0.0
        canvas.capsule(start, stop, limb.radius, outfit.colours[limb.garment], stripes)
    head = joints_vc[_HEAD]
    neck_direction = _unit(head - joints_vc[_NECK])
    canvas.capsule(head, head + 1e-3, _HEAD_RADIUS, outfit.colours["skin"])
    crown = head + 0.045 * neck_direction + np.array([0.0, 0.0, 0.03])
    canvas.capsule(crown, crown + 1e-3, _HEAD_RADIUS, outfit.colours["hair"])


def _draw_thing(canvas: Canvas, joints_vc: Array, held: Held, jitter: Array) -> None:
    """Draw a thing at a right angle to the forearm: upright if the forearm is level."""
    hand = joints_vc[_HAND[held.side]]
    forearm = _unit(hand - joints_vc[_ELBOW[held.side]])
    upright = np.array([0.25, 1.0, -0.8])
    grip = _unit(upright - (upright @ forearm) * forearm)
    across = np.cross(grip, forearm)
    for piece in THINGS[held.thing]:
        start, stop = (
            hand + along * grip + beside * across for along, beside in (piece.start, piece.stop)
        )
        canvas.capsule(start, stop, piece.radius, jitter * np.array(piece.colour))


def _room(scene: Scene, light: Array, random: np.random.Generator) -> Array:
    """Draw a floor of tiles, and a wall with blotches and pictures, (HEIGHT, WIDTH, 3)."""
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5 - WIDTH / 2, HEIGHT / 2 - np.arange(HEIGHT) - 0.5)
    rays = np.stack([x / FOCAL, y / FOCAL, np.ones_like(x)], -1)
    wall_z = float(scene.joints[..., 2].max()) + random.uniform(0.6, 2.0)
    rise = rays @ scene.up
    floor_z = np.where(rise < -1e-3, scene.floor / np.minimum(rise, -1e-3), np.inf)
    on_floor = floor_z < wall_z

    across = _unit(np.cross(scene.up, [0.0, 0.0, 1.0]))
    ahead = np.cross(across, scene.up)
    points = rays * np.minimum(floor_z, wall_z)[..., None]
    tile = random.uniform(0.25, 0.7)
    column, row = (np.floor((points @ axis + 50) / tile) for axis in (across, ahead))
    shades = 1 + random.uniform(0.0, 0.25) * ((column + row) % 2 - 0.5)
    floor = _draw_colour(random, 0.3, 0.8) * shades[..., None]
    floor *= AMBIENT + (1 - AMBIENT) * max(float(scene.up @ light), 0.0)

    coarse = random.normal(0.0, 0.08, (6, 8))
    blotches = _resize(coarse, HEIGHT, WIDTH)
    wall = _draw_colour(random, 0.4, 0.95) * (1 + blotches)[..., None]
    for _ in range(int(random.integers(0, 4))):  # pictures and furniture
        left, top = random.integers(0, WIDTH - 16), random.integers(0, HEIGHT - 24)
        wide, high = random.integers(8, 42), random.integers(8, 50)
        wall[top : top + high, left : left + wide] = _draw_colour(random, 0.2, 0.9)
    wall *= AMBIENT + (1 - AMBIENT) * max(-float(light[2]), 0.0)
    return np.where(on_floor[..., None], floor, wall)


def _resize(coarse: Array, height: int, width: int) -> Array:
    """Resize an image bilinearly to (height, width)."""
    rows = np.linspace(0, coarse.shape[0] - 1, height)
    columns = np.linspace(0, coarse.shape[1] - 1, width)
    by_row = np.stack([np.interp(columns, np.arange(coarse.shape[1]), row) for row in coarse])
    by_column = [np.interp(rows, np.arange(len(by_row)), column) for column in by_row.T]
    return np.stack(by_column, axis=1)


def _draw_colour(random: np.random.Generator, darkest: float, brightest: float) -> Array:
    """Draw an RGB colour of a brightness, from 0 to 1, between two limits."""
    hue, saturation = random.random(), random.uniform(0.05, 0.7)
    value = random.uniform(darkest, brightest)
    return 255 * np.array(colorsys.hsv_to_rgb(hue, saturation, value))


def _unit(vector: Array) -> Array:
    unit: Array = vector / max(float(np.linalg.norm(vector)), 1e-9)
    return unit
