"""Actions: which differ by motion, by side, or by the thing in the hand alone."""

import numpy as np
import pytest

from hhmnet_core.sources.synthetic.actions import ACTIONS, LEFT, RIGHT, Action
from hhmnet_core.sources.synthetic.figure import Pose
from hhmnet_core.sources.synthetic.motion import Motion
from hhmnet_core.sources.synthetic.scene import THINGS

NAMED = {action.name: action for action in ACTIONS}


def played(action: Action, dominant: int = RIGHT, clips: int = 20) -> tuple[Pose, Pose]:
    """Return the standing pose, and the pose that the action made of it."""
    motion = Motion(
        random=np.random.default_rng(0),
        phase=np.tile(np.linspace(0, 1, 60), (clips, 1)),
        vigour=np.ones((clips, 1)),
        dominant=np.full(clips, dominant),
    )
    pose = Pose.standing(clips, 60)
    action.act(pose, motion)
    return Pose.standing(clips, 60), pose


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_action_changes_the_pose_and_keeps_it_finite(action: Action) -> None:
    before, after = played(action)
    changed = [name for name in vars(before) if np.any(vars(before)[name] != vars(after)[name])]
    assert changed
    for name, values in vars(after).items():
        assert values.shape == vars(before)[name].shape and np.isfinite(values).all()


@pytest.mark.parametrize(("side", "name"), [(LEFT, "left"), (RIGHT, "right")])
def test_side_in_the_name_is_the_side_that_moves(side: int, name: str) -> None:
    for action, limb in (("wave", "hands"), ("kick", "feet")):
        before, after = played(NAMED[f"{action} {name}"])
        moved = np.abs(getattr(after, limb) - getattr(before, limb)).max((0, 1, 3))
        assert moved[side] > 0.3
        assert limb == "hands" or moved[1 - side] == 0


@pytest.mark.parametrize("dominant", [LEFT, RIGHT])
def test_dominant_hand_drinks(dominant: int) -> None:
    before, after = played(NAMED["drink"], dominant)
    moved = np.abs(after.hands - before.hands).max((0, 1, 3))
    assert moved[dominant] > 0.5 and moved[1 - dominant] == 0


def test_sitting_down_is_standing_up_reversed() -> None:
    down, up = (played(NAMED[name])[1].pelvis[..., 1] for name in ("sit down", "stand up"))
    standing = Pose.standing(1, 1).pelvis[0, 0, 1]
    assert (down[:, 0] == standing).all() and (up[:, -1] == standing).all()
    assert (down[:, -1] < standing - 0.3).all() and (up[:, 0] < standing - 0.3).all()


def test_some_classes_share_their_motion_and_some_their_thing() -> None:
    for one, other in (
        ("drink", "eat"),
        ("hammer slowly", "shake a maraca slowly"),
        ("hammer fast", "shake a maraca fast"),
    ):
        first, second = NAMED[one], NAMED[other]
        assert (first.act, first.seconds) == (second.act, second.seconds)
        assert {first.thing, second.thing} <= THINGS.keys() and first.thing != second.thing
    for thing in ("hammer", "maraca"):
        slowly, fast = (action for action in ACTIONS if action.thing == thing)
        assert slowly.act is not fast.act


def test_two_classes_have_a_partner() -> None:
    assert [action.name for action in ACTIONS if action.partner] == ["shake hands", "push"]
