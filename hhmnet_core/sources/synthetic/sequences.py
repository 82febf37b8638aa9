"""The larger set of 60 classes: single actions, and ordered pairs of actions of the arms.

Each of seven actions is followed by each of the six others, so "drink, then phone call" and "phone
call, then drink" hold the same movements: their order alone tells them apart. Single actions that
only the video tells apart are left out.
"""

from dataclasses import replace
from itertools import permutations

import numpy as np

from hhmnet_core.sources.synthetic.actions import ACTIONS, Act, Action
from hhmnet_core.sources.synthetic.figure import Pose
from hhmnet_core.sources.synthetic.motion import Motion

_ONLY_IN_VIDEO = ("eat", "shake a maraca slowly", "shake a maraca fast")
_FOLLOWED = (
    "wave left", "wave right", "drink", "phone call", "touch head", "hammer slowly", "hammer fast",
)  # fmt: skip
_SHORTER = 0.75  # time of an action in a pair, as a share of its own


def _then(first: Act, second: Act, share: float) -> Act:
    """Return two actions one after the other; the first takes a share of the time."""

    def act(pose: Pose, motion: Motion) -> None:
        first(pose, replace(motion, phase=np.clip(motion.phase / share, 0.0, 1.0)))
        rest = np.clip((motion.phase - share) / (1 - share), 0.0, 1.0)
        second(pose, replace(motion, phase=rest))

    return act


def _pair(first: Action, second: Action) -> Action:
    seconds = first.seconds + second.seconds
    act = _then(first.act, second.act, first.seconds / seconds)
    return Action(f"{first.name}, then {second.name}", act, _SHORTER * seconds)


_BY_NAME = {action.name: action for action in ACTIONS}
SIXTY_ACTIONS = (
    *(replace(action, thing="") for action in ACTIONS if action.name not in _ONLY_IN_VIDEO),
    *(_pair(_BY_NAME[one], _BY_NAME[other]) for one, other in permutations(_FOLLOWED, 2)),
)
