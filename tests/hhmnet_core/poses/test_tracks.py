"""The most active people are kept, gaps are filled by lines, the rest is counted."""

import numpy as np
import pytest
from drawn_people import LAYOUT, Script, blank_images, crowd, person

from hhmnet_core.errors import InputError
from hhmnet_core.poses.contract import People
from hhmnet_core.poses.tracks import PoseTracks
from hhmnet_core.poses.video import poses_of_images


def keep(images: list[People], max_bodies: int = 2) -> PoseTracks:
    return poses_of_images(blank_images(len(images)), Script(images), max_bodies)


def test_the_third_person_is_dropped_and_counted() -> None:
    images = [
        crowd(
            person(400, size=30), person(60 + 3 * t, size=40), person(200, y=400 - 5 * t, size=40)
        )
        for t in range(30)
    ]
    tracks = keep(images)
    assert tracks.pixels.shape == (2, 30, 33, 2) and tracks.world is not None
    assert tracks.world.shape == (2, 30, 33, 3) and tracks.confidence.shape == (2, 30, 33)
    middles = tracks.pixels.mean(2)
    np.testing.assert_allclose(np.diff(middles[0], axis=0), [[0, -5]] * 29, atol=1e-3)
    np.testing.assert_allclose(np.diff(middles[1], axis=0), [[3, 0]] * 29, atol=1e-3)
    assert tracks.dropped == {"bodies beside 2 more active ones": 1}
    assert keep(images, 3).num_bodies == 3 and keep(images, 1).num_bodies == 1


def test_a_gap_is_filled_by_lines_and_counted() -> None:
    images = [crowd(person(100 + 2 * t)) for t in range(20)]
    whole = keep(list(images))
    images[5:9] = [crowd()] * 4
    tracks = keep(images)
    np.testing.assert_allclose(tracks.pixels, whole.pixels, atol=1e-3)
    assert tracks.confidence.min() > 0.8
    assert tracks.dropped == {"images between two sightings of a person, interpolated": 4}


def test_a_person_who_comes_back_continues_the_body() -> None:
    images = [crowd(person(100))] * 15 + [crowd()] * 20 + [crowd(person(400))] * 15
    tracks = keep(images)
    assert tracks.num_bodies == 1
    present = np.isfinite(tracks.pixels).all((0, 2, 3))
    assert present.tolist() == [True] * 15 + [False] * 20 + [True] * 15
    assert not tracks.confidence[0, ~present].any()
    assert tracks.world is not None and np.isnan(tracks.world[0, ~present]).all()


def test_short_tracks_are_dropped_but_not_the_longest() -> None:
    for count, seen, shortest in ((30, 11, 12), (30, 12, 12), (20, 9, 10), (3, 2, 2)):
        images = [crowd(person(100), *([person(400)] if t < seen else [])) for t in range(count)]
        tracks = keep(images)
        assert tracks.num_bodies == (2 if seen >= shortest else 1)
        kind = f"bodies seen in fewer than {shortest} images"
        assert tracks.dropped == ({} if seen >= shortest else {kind: 1})
    assert keep([crowd(person(100))]).num_frames == 1


def test_nobody_and_no_images() -> None:
    assert keep([crowd()] * 4).pixels.shape == (0, 4, 33, 2)
    assert keep([]).num_frames == 0
    with pytest.raises(InputError, match="max_bodies must be 1 to 32, but is 0"):
        keep([], 0)
    assert keep([]).layout is LAYOUT
