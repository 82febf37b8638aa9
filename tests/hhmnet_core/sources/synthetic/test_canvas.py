"""Capsules: drawn where a pinhole camera sees them, hidden by what is nearer, lit by their side."""

import numpy as np
import pytest

from hhmnet_core.sources.synthetic.canvas import AMBIENT, FOCAL, HEIGHT, WIDTH, Canvas

RED, BLUE = np.array([200.0, 0.0, 0.0]), np.array([0.0, 0.0, 200.0])
TOWARDS_CAMERA = np.array([0.0, 0.0, -1.0])


@pytest.fixture
def canvas() -> Canvas:
    return Canvas(np.zeros((HEIGHT, WIDTH, 3)), TOWARDS_CAMERA)


def at(x: float, y: float, z: float) -> np.ndarray:
    return np.array([x, y, z])


def test_capsule_is_drawn_at_its_projection(canvas: Canvas) -> None:
    canvas.capsule(at(-0.2, 0.1, 2.0), at(0.2, 0.1, 2.0), 0.05, RED)
    y, x = np.nonzero(canvas.colour[..., 0])
    left, right = (WIDTH / 2 + FOCAL * edge / 2.0 for edge in (-0.25, 0.25))
    np.testing.assert_allclose([x.min(), x.max() + 1], [left, right], atol=1.5)
    top, bottom = (HEIGHT / 2 - FOCAL * edge / 2.0 for edge in (0.15, 0.05))
    np.testing.assert_allclose([y.min(), y.max() + 1], [top, bottom], atol=1.5)
    assert canvas.depth.min() == pytest.approx(1.95, abs=0.01)


@pytest.mark.parametrize("red_first", [False, True])
def test_nearer_capsule_hides_the_farther(canvas: Canvas, red_first: bool) -> None:
    red = (at(0, -0.2, 2.0), at(0, 0.2, 2.0), 0.1, RED)
    blue = (at(-0.2, 0, 3.0), at(0.2, 0, 3.0), 0.1, BLUE)
    for capsule in (red, blue) if red_first else (blue, red):
        canvas.capsule(*capsule)
    middle = canvas.colour[HEIGHT // 2, WIDTH // 2]
    assert middle[0] > 150 and middle[2] == 0
    assert canvas.colour[..., 2].any()


def test_side_away_from_the_light_has_ambient_light_alone() -> None:
    canvas = Canvas(np.zeros((HEIGHT, WIDTH, 3)), np.array([1.0, 0.0, 0.0]))
    canvas.capsule(at(0, -0.3, 2.0), at(0, 0.3, 2.0), 0.3, RED)
    row = canvas.colour[HEIGHT // 2, :, 0]
    lit = np.flatnonzero(row)
    np.testing.assert_allclose(row[lit[0]], AMBIENT * 200)
    assert row[lit[-1]] > 0.9 * 200


def test_stripes_alternate_along_the_capsule(canvas: Canvas) -> None:
    canvas.capsule(at(-0.4, 0, 2.0), at(0.4, 0, 2.0), 0.1, RED, stripes=4.0)
    row = canvas.colour[HEIGHT // 2, WIDTH // 2 - 24 : WIDTH // 2 + 24, 0]
    assert (np.abs(np.diff(row)) > 50).sum() == 7


@pytest.mark.parametrize("outside", [(50.0, 0.0, 2.0), (0.0, 0.0, 0.2), (0.0, 0.0, -2.0)])
def test_nothing_is_drawn_of_what_is_out_of_view(
    canvas: Canvas, outside: tuple[float, float, float]
) -> None:
    canvas.capsule(at(*outside), at(*outside) + 0.01, 0.1, RED)
    assert not canvas.colour.any() and np.isinf(canvas.depth).all()
