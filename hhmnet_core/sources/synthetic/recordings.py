"""A data set without download: parametric human motions recorded by a noisy depth camera.

Ten subjects (size, limb proportions, tempo, vigour, posture, handedness) act in front of three
cameras (yaw, height, distance). Some classes are easy. Others differ by centimetres of a hand's
path (drink, phone call, touch head), by the side (wave, kick), or by time alone (sit down and stand
up, slow and fast hammering, lie down and fall); some have two bodies. Some are the same motion with
another thing in the hand, which only the video shows: drink and eat, hammer and shake a maraca.
The larger set of 60 classes has ordered pairs of actions too (`sequences`).
"""

import numpy as np

from hhmnet_core.checks.bounds import MAX_SEED
from hhmnet_core.errors import InputError
from hhmnet_core.sources.synthetic.actions import ACTIONS, Action
from hhmnet_core.sources.synthetic.canvas import FOCAL
from hhmnet_core.sources.synthetic.performance import Performance, perform
from hhmnet_core.sources.synthetic.scene import THINGS, Held, Scene, render
from hhmnet_core.sources.synthetic.sensor import NUM_CAMERAS
from hhmnet_core.sources.synthetic.sequences import SIXTY_ACTIONS
from hhmnet_core.sources.synthetic.subjects import NUM_SUBJECTS, draw_subjects
from hhmnet_core.sources.video_crops import VideoConfig, project
from hhmnet_core.sources.video_files import attach_video
from hhmnet_core.store.clips import Clip
from hhmnet_core.store.manifest import Protocol

DATASET = "synthetic"
LAYOUT = "kinect_v1_20"
CLASS_NAMES = tuple(action.name for action in ACTIONS)
ACTIONS_OF = {len(ACTIONS): ACTIONS, len(SIXTY_ACTIONS): SIXTY_ACTIONS}  # by number of classes
CLIPS_PER_CLASS, MAX_CLIPS_PER_CLASS = 60, 100_000
PROTOCOLS = {
    "cross-subject": Protocol(
        train={"subject": [1, 2, 4, 5, 7, 8, 10]}, test={"subject": [3, 6, 9]}
    ),
    "cross-view": Protocol(train={"camera": [1, 2]}, test={"camera": [3]}),
}

_CARRIED = 0.5  # share of clips without a thing of their own in which a random one is carried


class Recordings:
    """Clips drawn class by class on demand; equal arguments give equal clips.

    Args:
        seed: Random seed of the data set.
        clips_per_class: Number of clips per class, spread evenly over subjects and cameras; 30 is
            one of each pair.
        video: Format of the stored videos. None: no videos; the skeletons stay the same.
        classes: Number of classes, one of `ACTIONS_OF`.

    Attributes:
        class_names: Names of the classes.
        names: Sample ids of the clips.

    Raises:
        InputError: A negative seed, less than one clip per class, or another number of classes.
    """

    def __init__(
        self,
        seed: int = 1,
        clips_per_class: int = CLIPS_PER_CLASS,
        video: VideoConfig | None = None,
        classes: int = len(ACTIONS),
    ) -> None:
        if not 0 <= seed <= MAX_SEED:
            raise InputError(f"The seed must be 0 to {MAX_SEED}, but got {seed}.")
        if not 1 <= clips_per_class <= MAX_CLIPS_PER_CLASS:
            raise InputError(
                f"clips_per_class must be 1 to {MAX_CLIPS_PER_CLASS}, but got {clips_per_class}."
            )
        if classes not in ACTIONS_OF:
            raise InputError(
                f"classes must be one of {', '.join(map(str, ACTIONS_OF))}, but is {classes}."
            )
        self.seed, self.video, self._actions = seed, video, ACTIONS_OF[classes]
        self.class_names = tuple(action.name for action in self._actions)
        index_n = np.arange(clips_per_class)
        self._subject_n = index_n % NUM_SUBJECTS
        self._camera_n = index_n // NUM_SUBJECTS % NUM_CAMERAS
        self.names = [
            f"a{label + 1:02d}_s{subject + 1:02d}_e{episode + 1:02d}_v{camera + 1:02d}"
            for label in range(classes)
            for subject, camera, episode in zip(
                self._subject_n,
                self._camera_n,
                index_n // (NUM_SUBJECTS * NUM_CAMERAS),
                strict=True,
            )
        ]
        self._index = {name: index for index, name in enumerate(self.names)}
        self._latest: tuple[int, Performance] | None = None

    def clip(self, name: str) -> Clip:
        """Return the clip of a sample id.

        Its whole class is drawn, and kept until a clip of another class is asked for.
        """
        label, row = divmod(self._index[name], len(self._subject_n))
        if self._latest is None or self._latest[0] != label:
            self._latest = (label, self._perform(label))
        performance = self._latest[1]
        frames = slice(performance.first[row], performance.first[row] + performance.frames[row])
        clip = Clip(
            sample_id=name,
            label=label,
            subject=int(self._subject_n[row]) + 1,
            camera=int(self._camera_n[row]) + 1,
            setup=0,
            joints=performance.sensed[row, :, frames],
        )
        if self.video is None:
            return clip
        scene = self._scene(label, performance, row, frames)
        return attach_video(
            clip,
            lambda positions: render(scene, positions),
            lambda width, height: project(clip.joints, FOCAL, width, height),
            self.video,
        )

    def _perform(self, label: int) -> Performance:
        subjects = draw_subjects(np.random.default_rng([self.seed, len(self._actions)]))
        random = np.random.default_rng([self.seed, label])
        return perform(self._actions[label], subjects, self._subject_n, self._camera_n, random)

    def _scene(self, label: int, performance: Performance, row: int, frames: slice) -> Scene:
        key = (self.seed, label, row)
        side = int(performance.side[row])
        return Scene(
            joints=performance.true[row, :, frames],
            up=performance.up[row],
            floor=float(performance.floor[row]),
            people=tuple(performance.people[row].tolist()),
            held=_draw_held(self._actions[label], side, np.random.default_rng(key)),
            key=key,
        )


def _draw_held(action: Action, side: int, random: np.random.Generator) -> Held | None:
    """Return the thing that the actor holds: the action's, or a random one, or none."""
    if action.thing:
        return Held(action.thing, side)
    carries, thing = random.random() < _CARRIED, str(random.choice(sorted(THINGS)))
    return Held(thing, side) if carries and not action.partner else None
