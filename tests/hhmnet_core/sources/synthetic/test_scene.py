"""Images of people, clothes, things and rooms."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from hhmnet_core.sources.synthetic.canvas import FOCAL, HEIGHT, WIDTH
from hhmnet_core.sources.synthetic.figure import Body, Pose, joint_positions
from hhmnet_core.sources.synthetic.scene import THINGS, Held, Scene, render
from hhmnet_core.sources.video_crops import project


def scene(**changes: object) -> Scene:
    """Return a person with an arm stretched out, 2.5 m away."""
    pose = Pose.standing(1, 1)
    pose.hands[0, 0, 0] = (0.9, 0.1, 0.2)
    body = Body.of_height(np.array([1.75]), np.ones((1, Body.num_bones())))
    joints = joint_positions(pose, body) * [-1, 1, -1] + [0.0, -0.9, 2.5]
    plain = Scene(joints, np.array([0.0, 1.0, 0.0]), -0.9, (3,), None, (1, 2, 3))
    return replace(plain, **changes)  # type: ignore[arg-type]


def image_of(scene: Scene) -> NDArray[np.int64]:
    (image,) = render(scene, np.array([0]))
    return image.astype(int)


def test_people_are_drawn_at_their_joints() -> None:
    person = scene()
    aside = replace(person, joints=person.joints + np.array([50.0, 0.0, 0.0]))  # out of view
    shown, empty = (image_of(each) for each in (person, aside))
    pixels = project(person.joints[0, 0].astype(np.float32), FOCAL, WIDTH, HEIGHT).round()
    changed = np.abs(empty - shown).max(-1) > 25
    drawn = [changed[y - 1 : y + 2, x - 1 : x + 2].mean() > 0.5 for x, y in pixels.astype(int)]
    assert np.mean(drawn) > 0.8
    assert changed.mean() < 0.2


def test_clothes_differ_between_clips() -> None:
    scenes = [scene(key=key) for key in ((1, 2, 3), (1, 2, 3), (1, 2, 4))]
    same, again, other = (image_of(each) for each in scenes)
    assert np.array_equal(same, again) and not np.array_equal(same, other)


@pytest.mark.parametrize("thing", sorted(THINGS))
def test_things_are_in_the_hand(thing: str) -> None:
    empty, holding = (image_of(scene(held=held)) for held in (None, Held(thing, 0)))
    y, x = np.nonzero(np.abs(empty - holding).max(-1) > 25)
    assert len(x) >= 20  # pixels
    hand = project(scene().joints[0, 0, 7].astype(np.float32), FOCAL, WIDTH, HEIGHT)
    reach = FOCAL * 0.5 / 2.5
    assert np.hypot(x - hand[0], y - hand[1]).max() < reach


def test_frames_show_the_motion_with_noise_of_their_own() -> None:
    person = scene()
    still = replace(person, joints=np.repeat(person.joints, 3, axis=1))
    first, second = (image.astype(int) for image in render(still, np.array([0, 2])))
    assert first.shape == (HEIGHT, WIDTH, 3)
    difference = np.abs(first - second)
    assert difference.any() and np.median(difference) < 10
    still.joints[:, 2, :, 0] += 0.5  # the last frame, half a metre aside
    aside = render(still, np.array([0, 2]))[1].astype(int)
    assert (np.abs(aside - second).max(-1) > 60).mean() > 0.05
