"""People are followed by the overlap of their boxes, also where they cross or are hidden."""

import numpy as np
from drawn_people import crowd, person

from hhmnet_core.poses.contract import People
from hhmnet_core.poses.tracking import MAX_GAP, Track, Tracker


def tracks_of(images: list[People]) -> list[Track]:
    tracker = Tracker()
    for people in images:
        tracker.add(people)
    assert tracker.num_frames == len(images)
    return tracker.tracks


def middles(track: Track) -> np.ndarray:
    return np.stack(track.pixels).mean(1)[:, 0]


def test_order_of_the_people_does_not_matter() -> None:
    random = np.random.default_rng(0)
    images = []
    for frame in range(20):
        people = [person(60 + 2 * frame), person(260 - frame), person(460)]
        images.append(crowd(*(people[i] for i in random.permutation(3))))
    tracks = tracks_of(images)
    assert sorted(map(len, tracks)) == [20, 20, 20]
    steps = sorted(float(np.diff(middles(track)).mean()) for track in tracks)
    np.testing.assert_allclose(steps, [-1, 0, 2], atol=1e-3)


def test_people_who_cross_keep_their_tracks() -> None:
    """In one step they change places, so that each is where the other one was."""
    images = [crowd(person(60 + 16 * t), person(300 - 16 * t)) for t in range(16)]
    tracks = tracks_of(images)
    assert [len(track) for track in tracks] == [16, 16]
    for track, step in zip(tracks, (16, -16), strict=True):
        np.testing.assert_allclose(np.diff(middles(track)), step, atol=1e-3)


def test_a_short_gap_is_bridged_and_a_long_one_is_not() -> None:
    for gap, expected in ((MAX_GAP, 1), (MAX_GAP + 1, 2)):
        images = [crowd(person(100 + t)) for t in range(5)]
        images += [crowd() for _ in range(gap)]
        images += [crowd(person(105 + gap + t)) for t in range(5)]
        tracks = tracks_of(images)
        assert len(tracks) == expected
        assert sum(map(len, tracks)) == 10


def test_a_person_far_away_begins_a_track() -> None:
    images = [crowd(person(100))] * 3 + [crowd(person(400))] * 3
    assert [track.frames for track in tracks_of(images)] == [[0, 1, 2], [3, 4, 5]]


def test_what_is_forgotten_does_not_change_what_follows() -> None:
    images = [crowd(person(60 + 3 * t), *([person(300)] if t < 20 else [])) for t in range(60)]
    tracker, whole = Tracker(), tracks_of(images)
    for number, people in enumerate(images):
        tracker.add(people)
        tracker.forget(number - 9)
        assert all(min(track.frames) >= number - 9 for track in tracker.tracks)
        assert len(tracker.tracks) == (2 if number < 29 else 1)
    (track,) = tracker.tracks
    assert track.frames == whole[0].frames[-10:] == list(range(50, 60))
    np.testing.assert_array_equal(np.stack(track.pixels), np.stack(whole[0].pixels[-10:]))
    assert len(track.confidence) == len(track.world) == 10
    tracker.forget(60)
    assert not tracker.tracks
    tracker.add(images[0])
    assert [track.frames for track in tracker.tracks] == [[60], [60]]
