"""What a colour camera sees of the synthetic figures: clothed bodies, what they hold, a lit room.

Bodies and things are capsules, drawn into a depth buffer and lit by their normals; the room is a
floor and a wall with a pattern. Coordinates are the camera's, as its skeletons have them: x right,
y up, z away, in metres.

Shapes: M bodies, F images of HEIGHT x WIDTH, V joints.
"""

import colorsys
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.sources.synthetic.figure import Array

Image = NDArray[np.uint8]

WIDTH, HEIGHT = 160, 120
FOCAL = 0.82 * WIDTH  # pixels; the Kinect's field of view
AMBIENT = 0.4  # of the light
NOISE = 3.0  # of the sensor, standard deviation in grey levels


class _Limb(NamedTuple):
    """A capsule between two joints of layout kinect_v1_20: what it wears, radius in metres."""

    start: int
    stop: int
    radius: float
    wears: str


_LIMBS = (
    _Limb(0, 1, 0.13, "shirt"), _Limb(1, 2, 0.13, "shirt"), _Limb(2, 3, 0.06, "skin"),
    _Limb(4, 8, 0.07, "shirt"), _Limb(4, 12, 0.08, "shirt"), _Limb(8, 16, 0.08, "shirt"),
    _Limb(12, 16, 0.10, "trousers"),
    _Limb(4, 5, 0.055, "shirt"), _Limb(5, 6, 0.045, "sleeve"), _Limb(6, 7, 0.045, "skin"),
    _Limb(8, 9, 0.055, "shirt"), _Limb(9, 10, 0.045, "sleeve"), _Limb(10, 11, 0.045, "skin"),
    _Limb(12, 13, 0.085, "trousers"), _Limb(13, 14, 0.06, "trousers"), _Limb(14, 15, 0.05, "shoes"),
    _Limb(16, 17, 0.085, "trousers"), _Limb(17, 18, 0.06, "trousers"), _Limb(18, 19, 0.05, "shoes"),
)  # fmt: skip
_HEAD, _HEAD_RADIUS = 3, 0.115
_ELBOW, _HAND = (5, 9), (7, 11)


class _Piece(NamedTuple):
    """A capsule of a thing in a hand: from and to (along the grip, across it), radius, RGB."""

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
    """A thing in a hand of body 0: one of `THINGS`, in the hand of a side (0 left, 1 right)."""

    thing: str
    side: int


@dataclass(frozen=True)
class Scene:
    """A clip as it was, before the sensor.

    Attributes:
        joints: (M, T, 20, 3) the bodies.
        up: (3,) the direction that is up, in the camera's coordinates.
        floor: Height of the floor below the camera along `up`, metres, negative.
        people: (M,) who they are: the same people wear the same.
        held: What the first one holds.
        key: Of all that is drawn at random.
    """

    joints: Array
    up: Array
    floor: float
    people: tuple[int, ...]
    held: Held | None
    key: tuple[int, ...]


def render(scene: Scene, frames: NDArray[np.int64]) -> list[Image]:
    """The images (HEIGHT, WIDTH, 3) of some frames."""
    random = np.random.default_rng([*scene.key, 1])
    light = _unit(random.uniform([-0.8, 0.3, -1.0], [0.8, 1.0, -0.3]))
    tint = random.uniform(0.75, 1.15) * random.uniform(0.92, 1.08, 3)
    room = _room(scene, light, random)
    clothes = [_clothes(person, scene.key) for person in scene.people]
    jitter = random.uniform(0.85, 1.15) * random.uniform(0.95, 1.05, 3)
    images = []
    for frame in frames:
        canvas = _Canvas(room, light)
        for joints_vc, wears in zip(scene.joints[:, frame], clothes, strict=True):
            _draw_body(canvas, joints_vc, wears)
        if scene.held:
            _draw_thing(canvas, scene.joints[0, frame], scene.held, jitter)
        noise = NOISE * random.standard_normal(canvas.colour.shape, dtype=np.float32)
        noisy = canvas.colour * tint + noise
        images.append(np.rint(noisy.clip(0, 255)).astype(np.uint8))
    return images


class _Canvas:
    """An image under way, and how far away what it shows is."""

    def __init__(self, room_hw3: Array, light: Array) -> None:
        self.colour = room_hw3.copy()
        self.depth = np.full(room_hw3.shape[:2], np.inf)
        self.light = light

    def capsule(
        self, start: Array, stop: Array, radius: float, colour: Array, stripes: float = 0.0
    ) -> None:
        """Draws one; what is nearer stays. `stripes` run around it, that many over its length."""
        if min(start[2], stop[2]) < 0.3:
            return
        (x0, y0), (x1, y1) = (_pixel(end) for end in (start, stop))
        near = FOCAL * radius / min(start[2], stop[2])
        left, right = max(int(min(x0, x1) - near), 0), min(int(max(x0, x1) + near) + 2, WIDTH)
        top, bottom = max(int(min(y0, y1) - near), 0), min(int(max(y0, y1) + near) + 2, HEIGHT)
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
        place = np.s_[top:bottom, left:right]
        seen = (bulge2 > 0) & (depth < self.depth[place])
        slope = across_x * self.light[0] - across_y * self.light[1] - bulge * self.light[2]
        shade = AMBIENT + (1 - AMBIENT) * slope.clip(0, None)
        if stripes:
            shade = shade * (1 + 0.25 * np.sign(np.sin(2 * np.pi * stripes * along)))
        self.colour[place][seen] = (shade[..., None] * colour)[seen]
        self.depth[place][seen] = depth[seen]


@dataclass(frozen=True)
class _Clothes:
    """RGB of what somebody wears, and how many stripes the shirt has on a limb."""

    colours: dict[str, Array]
    stripes: float


def _clothes(person: int, key: tuple[int, ...]) -> _Clothes:
    """People have one skin and hair, and change clothes from clip to clip."""
    own = np.random.default_rng([key[0], person, 2])
    skin, hair = own.uniform(0.35, 0.95), own.uniform(0.05, 0.6)
    random = np.random.default_rng([*key, person, 3])
    shirt, trousers = _colour(random, 0.3, 0.95), _colour(random, 0.15, 0.6)
    bare = random.random() < 0.5
    skin_rgb = 255 * skin * np.array([1.0, 0.8, 0.68])
    return _Clothes(
        {
            "skin": skin_rgb,
            "hair": 255 * hair * np.array([1.0, 0.8, 0.6]),
            "shirt": shirt,
            "sleeve": skin_rgb if bare else shirt,
            "trousers": trousers,
            "shoes": _colour(random, 0.1, 0.9),
        },
        stripes=float(random.choice([0.0, 0.0, 2.0, 4.0])),
    )


def _draw_body(canvas: _Canvas, joints_vc: Array, wears: _Clothes) -> None:
    for limb in _LIMBS:
        start, stop = joints_vc[limb.start], joints_vc[limb.stop]
        stripes = wears.stripes if limb.wears == "shirt" else 0.0
        canvas.capsule(start, stop, limb.radius, wears.colours[limb.wears], stripes)
    head = joints_vc[_HEAD]
    away = _unit(head - joints_vc[2])
    canvas.capsule(head, head + 1e-3, _HEAD_RADIUS, wears.colours["skin"])
    crown = head + 0.045 * away + np.array([0.0, 0.0, 0.03])
    canvas.capsule(crown, crown + 1e-3, _HEAD_RADIUS, wears.colours["hair"])


def _draw_thing(canvas: _Canvas, joints_vc: Array, held: Held, jitter: Array) -> None:
    """Gripped at a right angle to the forearm: upright where the forearm is level."""
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
    """A floor of tiles and a wall with blotches and pictures, (HEIGHT, WIDTH, 3)."""
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5 - WIDTH / 2, HEIGHT / 2 - np.arange(HEIGHT) - 0.5)
    rays = np.stack([x / FOCAL, y / FOCAL, np.ones_like(x)], -1)
    wall_z = float(scene.joints[..., 2].max()) + random.uniform(0.6, 2.0)
    falling = rays @ scene.up
    floor_z = np.where(falling < -1e-3, scene.floor / np.minimum(falling, -1e-3), np.inf)
    on_floor = floor_z < wall_z

    across = _unit(np.cross(scene.up, [0.0, 0.0, 1.0]))
    ahead = np.cross(across, scene.up)
    spot = rays * np.minimum(floor_z, wall_z)[..., None]
    tile = random.uniform(0.25, 0.7)
    column, row = (np.floor((spot @ axis + 50) / tile) for axis in (across, ahead))
    shades = 1 + random.uniform(0.0, 0.25) * ((column + row) % 2 - 0.5)
    floor = _colour(random, 0.3, 0.8) * shades[..., None]
    floor *= AMBIENT + (1 - AMBIENT) * max(float(scene.up @ light), 0.0)

    coarse = random.normal(0.0, 0.08, (6, 8))
    blotches = _stretched(coarse, HEIGHT, WIDTH)
    wall = _colour(random, 0.4, 0.95) * (1 + blotches)[..., None]
    for _ in range(int(random.integers(0, 4))):  # pictures and furniture
        left, top = random.integers(0, WIDTH - 16), random.integers(0, HEIGHT - 24)
        wide, high = random.integers(8, 42), random.integers(8, 50)
        wall[top : top + high, left : left + wide] = _colour(random, 0.2, 0.9)
    wall *= AMBIENT + (1 - AMBIENT) * max(-float(light[2]), 0.0)
    return np.where(on_floor[..., None], floor, wall)


def _stretched(coarse: Array, height: int, width: int) -> Array:
    """Bilinear, to (height, width)."""
    rows = np.linspace(0, coarse.shape[0] - 1, height)
    columns = np.linspace(0, coarse.shape[1] - 1, width)
    by_row = np.stack([np.interp(columns, np.arange(coarse.shape[1]), row) for row in coarse])
    by_column = [np.interp(rows, np.arange(len(by_row)), column) for column in by_row.T]
    return np.stack(by_column, axis=1)


def _colour(random: np.random.Generator, darkest: float, brightest: float) -> Array:
    hue, saturation = random.random(), random.uniform(0.05, 0.7)
    value = random.uniform(darkest, brightest)
    return 255 * np.array(colorsys.hsv_to_rgb(hue, saturation, value))


def _pixel(point: Array) -> tuple[float, float]:
    x, y, z = (float(value) for value in point)
    return WIDTH / 2 + FOCAL * x / z, HEIGHT / 2 - FOCAL * y / z


def _unit(vector: Array) -> Array:
    unit: Array = vector / max(float(np.linalg.norm(vector)), 1e-9)
    return unit
