"""The synthetic data set's actions, each a change of a pose over time.

An action is a function of (pose, motion) that changes the pose in place. What it leaves unchanged
keeps the idle motion of a standing person. Phases run from 0 to 1 over the action itself; before
and after it the figure stands. Units are those of `Pose`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hhmnet_core.sources.synthetic.figure import SIDES, Array, Pose
from hhmnet_core.sources.synthetic.motion import Motion, blend, point

LEFT, RIGHT = 0, 1
Act = Callable[[Pose, Motion], None]


def _wave(side: int) -> Act:
    def act(pose: Pose, motion: Motion) -> None:
        up = motion.hold(0.0, 0.25, 0.78, 1.0)
        swing = motion.wave(motion.draw(2.0, 4.5)) * motion.vigour * motion.draw(0.1, 0.3)
        height = motion.draw(0.15, 0.75)
        outward = SIDES[side] * (motion.draw(0.45, 0.75) + swing)
        goal = point(outward, height, motion.draw(0.15, 0.4))
        pose.hands[:, :, side] = blend(pose.hands[:, :, side], goal, up)
        pose.elbows[:, :, side] += up * motion.draw(0.0, 0.5)

    return act


def _kick(side: int) -> Act:
    def act(pose: Pose, motion: Motion) -> None:
        back = motion.hold(0.05, 0.3, 0.35, 0.45)
        out = motion.hold(0.35, 0.5, 0.55, 0.85)
        reach = motion.draw(0.4, 0.85) * motion.vigour
        pose.feet[:, :, side, 2] += reach * out - motion.draw(0.1, 0.35) * back
        pose.feet[:, :, side, 1] += motion.draw(0.15, 0.6) * out + 0.12 * back
        pose.tilt -= motion.draw(0.0, 0.3) * out
        pose.pelvis[..., 0] -= SIDES[side] * 0.1 * np.maximum(out, back)
        other = 1 - side
        pose.hands[:, :, other] += out[..., None] * point(0.1 * SIDES[other], 0.3, 0.3)

    return act


def _seat(pose: Pose, motion: Motion, seated: Array) -> None:
    """Seat the figure by `seated` (N, T), from 0 to 1, leaning forward on the way."""
    depth = motion.draw(0.38, 0.55)
    pose.pelvis[..., 1] -= depth * seated
    pose.pelvis[..., 2] -= motion.draw(0.4, 0.6) * seated
    lean = 4 * seated * (1 - seated)
    pose.tilt += motion.draw(0.1, 0.4) * lean
    pose.bend += motion.draw(0.15, 0.55) * lean
    lap = point(SIDES * 0.3, np.full(2, -0.62), np.full(2, 0.45))
    amount = np.broadcast_to(seated[..., None], pose.hands.shape[:3])
    pose.hands = blend(pose.hands, lap, amount * motion.draw(0.4, 1.0)[..., None])


def _sit_down(pose: Pose, motion: Motion) -> None:
    _seat(pose, motion, motion.rise(0.1, 0.85))


def _stand_up(pose: Pose, motion: Motion) -> None:
    _seat(pose, motion, 1 - motion.rise(0.15, 0.9))


def _reach(
    pose: Pose, motion: Motion, goal_of: Callable[[Array], Array], elbow: Array, up: Array
) -> None:
    """Move the dominant hand to a goal, by `up` (N, T) from 0 to 1.

    Args:
        pose: The pose to change.
        motion: The circumstances.
        goal_of: Function that returns the goal, given the side's direction along x, (N, 1).
        elbow: Lift of the elbow.
        up: Share of the way to the goal.
    """
    for side in (LEFT, RIGHT):
        chosen = (motion.dominant == side)[:, None] * up
        goal = goal_of(np.full((len(motion.dominant), 1), SIDES[side]))
        pose.hands[:, :, side] = blend(pose.hands[:, :, side], goal, chosen)
        pose.elbows[:, :, side] += elbow * chosen


def _drink(pose: Pose, motion: Motion) -> None:
    up = motion.hold(0.08, 0.35, 0.7, 0.95)
    tip = motion.hold(0.35, 0.48, 0.6, 0.72)
    x, y, z = motion.draw(0.02, 0.16), motion.draw(0.13, 0.24), motion.draw(0.26, 0.4)
    _reach(pose, motion, lambda sign: point(sign * x, y + 0.08 * tip, z), 0.1 + 0.35 * tip, up)
    pose.nod -= motion.draw(0.15, 0.4) * tip


def _phone_call(pose: Pose, motion: Motion) -> None:
    up = motion.hold(0.08, 0.32, 0.75, 0.95)
    x, y, z = motion.draw(0.16, 0.3), motion.draw(0.15, 0.28), motion.draw(0.08, 0.22)
    _reach(pose, motion, lambda sign: point(sign * x, y, z), motion.draw(0.0, 0.4), up)
    lean = np.where(motion.dominant == LEFT, -1.0, 1.0)[:, None]
    pose.look -= lean * up * motion.draw(-0.1, 0.3)


def _touch_head(pose: Pose, motion: Motion) -> None:
    up = motion.hold(0.08, 0.35, 0.7, 0.95)
    rub = 0.05 * motion.vigour * motion.wave(motion.draw(1.0, 4.0))
    x, y, z = motion.draw(0.05, 0.22), motion.draw(0.28, 0.42), motion.draw(0.08, 0.26)
    _reach(
        pose, motion, lambda sign: point(sign * (x + rub), y, z + rub), motion.draw(0.1, 0.6), up
    )


def _beat(low: float, high: float) -> Act:
    """Return an action that beats with the dominant hand, `low` to `high` times."""

    def act(pose: Pose, motion: Motion) -> None:
        up = motion.hold(0.0, 0.15, 0.88, 1.0)
        stroke = motion.draw(0.2, 0.4) * motion.vigour * motion.wave(motion.draw(low, high))
        x, y, z = motion.draw(0.1, 0.4), motion.draw(-0.35, 0.05), motion.draw(0.4, 0.65)
        _reach(pose, motion, lambda sign: point(sign * x, y + stroke, z), motion.draw(0, 0.3), up)

    return act


def _jump(pose: Pose, motion: Motion) -> None:
    crouch = motion.hold(0.1, 0.35, 0.4, 0.5) + 0.7 * motion.hold(0.6, 0.7, 0.75, 0.95)
    flight = np.clip((motion.phase - 0.42) / 0.24, 0.0, 1.0)
    height = 4 * flight * (1 - flight) * motion.draw(0.1, 0.4) * motion.vigour
    pose.pelvis[..., 1] += height - motion.draw(0.15, 0.4) * crouch
    pose.feet[..., 1] += height[..., None]
    pose.bend += motion.draw(0.2, 0.5) * crouch
    swing = motion.draw(0.2, 0.9) * motion.hold(0.3, 0.5, 0.6, 0.8)
    pose.hands += swing[..., None, None] * np.array([0.0, 0.8, 0.6])


def _bow(pose: Pose, motion: Motion) -> None:
    down = motion.hold(0.1, 0.4, 0.6, 0.9)
    pose.tilt += motion.draw(0.15, 0.5) * down
    pose.bend += motion.draw(0.25, 0.7) * down
    pose.nod += motion.draw(0.0, 0.4) * down
    pose.pelvis[..., 2] -= 0.12 * down
    pose.hands[..., 2] += (down * motion.draw(0.05, 0.5))[..., None]


def _walk(pose: Pose, motion: Motion) -> None:
    steps = motion.draw(1.5, 3.5)
    stride = motion.draw(0.25, 0.5) * motion.vigour
    beat = 2 * np.pi * (steps * motion.phase + motion.draw(0, 1))
    ahead = 2.2 * stride * steps * (motion.phase - 0.5)
    pose.pelvis += point(0.0, 0.03 * np.cos(2 * beat), ahead)
    for side, sign in enumerate(SIDES):
        lift = 0.12 * np.maximum(0.0, sign * np.cos(beat))
        pose.feet[:, :, side] += point(0.0, lift, ahead + sign * stride * np.sin(beat))
        pose.hands[:, :, side, 2] -= sign * 0.9 * stride * np.sin(beat)
    pose.twist -= 0.15 * np.sin(beat)


def _down(pose: Pose, motion: Motion, folded: Array, laid: Array) -> None:
    """Fold the figure to its seat by `folded`, and lay it on its back by `laid`; (N, T) each."""
    pose.pelvis[..., 1] -= 0.75 * folded + 0.27 * laid
    pose.pelvis[..., 2] -= 0.45 * folded + 0.35 * laid
    pose.tilt -= (np.pi / 2 - motion.draw(0.0, 0.25)) * laid
    pose.bend += 0.5 * folded * (1 - laid)
    pose.feet[..., 2] += (0.15 * laid)[..., None]


def _lie_down(pose: Pose, motion: Motion) -> None:
    folded, laid = motion.rise(0.05, 0.5), motion.rise(0.5, 0.95)
    _down(pose, motion, folded, laid)
    support = folded * (1 - laid)
    pose.hands += support[..., None, None] * np.array([0.0, 0.1, -0.5])


def _fall(pose: Pose, motion: Motion) -> None:
    drop = np.clip((motion.phase - motion.draw(0.1, 0.4)) / motion.draw(0.25, 0.45), 0.0, 1.0) ** 2
    _down(pose, motion, drop, drop)
    flail = 4 * drop * (1 - drop) * motion.draw(0.4, 1.0)
    pose.hands += flail[..., None, None] * np.stack([0.5 * SIDES, [0.9, 0.9], [0.3, 0.3]], -1)


def _shake_hands(pose: Pose, motion: Motion) -> None:
    out = motion.hold(0.05, 0.3, 0.75, 0.98)
    shake = 0.09 * motion.vigour * motion.wave(motion.draw(2.0, 4.0))
    goal = point(motion.draw(-0.3, 0.0), motion.draw(-0.5, -0.25) + shake, motion.draw(0.6, 0.85))
    pose.hands[:, :, RIGHT] = blend(pose.hands[:, :, RIGHT], goal, out)
    pose.bend += motion.draw(0.0, 0.2) * out


def _push(pose: Pose, motion: Motion) -> None:
    drawn = motion.hold(0.02, 0.2, 0.3, 0.4)
    out = motion.hold(0.3, 0.45, 0.6, 0.9)
    for side in (LEFT, RIGHT):
        near = point(SIDES[side] * 0.3, -0.2, 0.35)
        far = point(SIDES[side] * 0.3, motion.draw(-0.25, 0.0), motion.draw(0.75, 0.95))
        pose.hands[:, :, side] = blend(pose.hands[:, :, side], near, drawn)
        pose.hands[:, :, side] = blend(pose.hands[:, :, side], far, out)
    pose.tilt += motion.draw(0.05, 0.3) * out
    pose.pelvis[..., 2] += 0.15 * out
    pose.feet[:, :, LEFT, 2] += 0.3 * motion.rise(0.1, 0.35)


def _be_pushed(pose: Pose, motion: Motion) -> None:
    hit = motion.hold(0.42, 0.55, 0.65, 0.95)
    back = motion.draw(0.1, 0.5) * motion.rise(0.42, 0.65)
    pose.tilt -= motion.draw(0.05, 0.35) * hit
    pose.pelvis[..., 2] -= back
    pose.feet[..., 2] -= back[..., None]
    pose.hands += (hit * motion.draw(0.1, 0.6))[..., None, None] * np.array([0.0, 0.5, 0.6])


@dataclass(frozen=True)
class Action:
    """A class of the data set.

    Attributes:
        name: Name of the class.
        act: Function that moves the actor.
        seconds: Typical duration.
        thing: Thing in the dominant hand, one of `scene.THINGS`. Empty: anything or nothing.
        partner: Function that moves the second body. None: there is one body.
    """

    name: str
    act: Act
    seconds: float
    thing: str = ""
    partner: Act | None = None


_slowly, _fast = _beat(2.0, 3.0), _beat(4.5, 7.0)


ACTIONS = (
    Action("wave left", _wave(LEFT), 2.4),
    Action("wave right", _wave(RIGHT), 2.4),
    Action("kick left", _kick(LEFT), 1.8),
    Action("kick right", _kick(RIGHT), 1.8),
    Action("sit down", _sit_down, 2.2),
    Action("stand up", _stand_up, 2.2),
    Action("drink", _drink, 3.2, "bottle"),
    Action("eat", _drink, 3.2, "banana"),
    Action("phone call", _phone_call, 3.2, "phone"),
    Action("touch head", _touch_head, 3.2),
    Action("hammer slowly", _slowly, 2.6, "hammer"),
    Action("hammer fast", _fast, 2.6, "hammer"),
    Action("shake a maraca slowly", _slowly, 2.6, "maraca"),
    Action("shake a maraca fast", _fast, 2.6, "maraca"),
    Action("jump", _jump, 1.6),
    Action("bow", _bow, 2.2),
    Action("walk", _walk, 3.0),
    Action("lie down", _lie_down, 3.4),
    Action("fall", _fall, 2.0),
    Action("shake hands", _shake_hands, 2.6, partner=_shake_hands),
    Action("push", _push, 1.8, partner=_be_pushed),
)
