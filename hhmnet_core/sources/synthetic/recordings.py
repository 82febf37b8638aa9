"""A data set that needs no download: parametric human motions seen by a noisy depth camera.

Ten subjects (size, limb proportions, tempo, vigour, posture, handedness) act before three cameras
(yaw, height, distance). Some classes are easy; some differ by centimetres of a hand's path (drink,
phone call, touch head), by the side (wave, kick), by time alone (sit down and stand up, slow and
fast hammering, lie down and fall), and some have two bodies. Some are the same motion with another
thing in the hand, which only the video shows: drink and eat, hammer and shake a maraca.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.sources.synthetic.figure import SIDES, Array, Body, Pose, joints_of
from hhmnet_core.sources.synthetic.motions import ACTIONS, Action, Motion
from hhmnet_core.sources.synthetic.scene import FOCAL, THINGS, Held, Scene, render
from hhmnet_core.sources.synthetic.sensor import NUM_CAMERAS, Index, before_camera, glimpses, sensed
from hhmnet_core.sources.video_crops import Image, VideoConfig, project
from hhmnet_core.sources.video_files import with_video
from hhmnet_core.store.clips import Clip
from hhmnet_core.store.manifest import Protocol

DATASET = "synthetic"
LAYOUT = "kinect_v1_20"
CLASS_NAMES = tuple(action.name for action in ACTIONS)
NUM_SUBJECTS = 10
CLIPS_PER_CLASS = 60
PROTOCOLS = {
    "cross-subject": Protocol(
        train={"subject": [1, 2, 4, 5, 7, 8, 10]}, test={"subject": [3, 6, 9]}
    ),
    "cross-view": Protocol(train={"camera": [1, 2]}, test={"camera": [3]}),
}

_FRAMES_PER_SECOND = 20.0
_MOST_FRAMES = 120
_CARRIED = 0.5  # share of the other clips in which something is carried that means nothing


@dataclass(frozen=True)
class _Subjects:
    """What the subjects are like; each (S,), `build` (S, bones)."""

    height: Array
    build: Array
    tempo: Array
    vigour: Array
    stoop: Array
    stance: Array
    left_handed: NDArray[np.bool_]


@dataclass(frozen=True)
class _Performance:
    """An action, played once a clip.

    Attributes:
        real: (N, M, T, V, 3) the bodies before the camera, T the longest clip's frames.
        sensed: (N, M, T, V, 3) float32, what its sensor makes of them.
        first: (N,) the frame in which each clip begins.
        frames: (N,) how many it has.
        up: (N, 3) the direction that is up, as the camera stands.
        floor: (N,) height of the floor along it.
        people: (N, M) who they are.
        side: (N,) the hand that the actor prefers, 0 left and 1 right.
    """

    real: Array
    sensed: NDArray[np.float32]
    first: Index
    frames: Index
    up: Array
    floor: Array
    people: Index
    side: Index


class Recordings:
    """Clips drawn class by class when they are asked for; the same for the same arguments.

    Args:
        seed: Of all that is drawn.
        clips_per_class: Spread evenly over the subjects and cameras; 30 is one of each.
        video: What is kept of their video; None: nothing is filmed. Skeletons are the same.

    Attributes:
        names: The clips' sample ids.

    Raises:
        InputError: A negative seed, or less than one clip a class.
    """

    def __init__(
        self,
        seed: int = 1,
        clips_per_class: int = CLIPS_PER_CLASS,
        video: VideoConfig | None = None,
    ) -> None:
        if seed < 0:
            raise InputError(f"The seed must be 0 or more, but got {seed}.")
        if clips_per_class < 1:
            raise InputError(f"clips_per_class must be 1 or more, but got {clips_per_class}.")
        self.seed, self.video = seed, video
        index_n = np.arange(clips_per_class)
        self._subject_n = index_n % NUM_SUBJECTS
        self._camera_n = index_n // NUM_SUBJECTS % NUM_CAMERAS
        self.names = [
            f"a{label + 1:02d}_s{subject + 1:02d}_e{episode + 1:02d}_v{camera + 1:02d}"
            for label in range(len(ACTIONS))
            for subject, camera, episode in zip(
                self._subject_n,
                self._camera_n,
                index_n // (NUM_SUBJECTS * NUM_CAMERAS),
                strict=True,
            )
        ]
        self._place = {name: at for at, name in enumerate(self.names)}
        self._drawn: tuple[int, _Performance] | None = None

    def clips(self) -> Iterator[Clip]:
        """All of them, in order."""
        return map(self.clip, self.names)

    def clip(self, name: str) -> Clip:
        """The clip of that sample id; its whole class is drawn, and kept until the next."""
        label, place = divmod(self._place[name], len(self._subject_n))
        if self._drawn is None or self._drawn[0] != label:
            self._drawn = (label, self._perform(label))
        played = self._drawn[1]
        shown = slice(played.first[place], played.first[place] + played.frames[place])
        clip = Clip(
            sample_id=name,
            label=label,
            subject=int(self._subject_n[place]) + 1,
            camera=int(self._camera_n[place]) + 1,
            setup=0,
            joints=played.sensed[place, :, shown],
        )
        return self._filmed(clip, played, place, shown) if self.video else clip

    def _perform(self, label: int) -> _Performance:
        subjects = _draw_subjects(np.random.default_rng([self.seed, len(ACTIONS)]))
        random = np.random.default_rng([self.seed, label])
        return _perform(ACTIONS[label], subjects, self._subject_n, self._camera_n, random)

    def _filmed(self, clip: Clip, played: _Performance, place: int, shown: slice) -> Clip:
        assert self.video
        key = (self.seed, clip.label, place)
        scene = Scene(
            joints=played.real[place, :, shown],
            up=played.up[place],
            floor=float(played.floor[place]),
            people=tuple(played.people[place].tolist()),
            held=_held(ACTIONS[clip.label], int(played.side[place]), np.random.default_rng(key)),
            key=key,
        )

        def images(positions: Index) -> list[Image]:
            return render(scene, positions)

        def pixels_of(width: int, height: int) -> NDArray[np.float32]:
            return project(clip.joints, FOCAL, width, height)

        return with_video(clip, images, pixels_of, self.video)


def _draw_subjects(random: np.random.Generator) -> _Subjects:
    return _Subjects(
        height=np.linspace(1.5, 1.95, NUM_SUBJECTS)[random.permutation(NUM_SUBJECTS)],
        build=random.uniform(0.9, 1.1, (NUM_SUBJECTS, Body.num_bones())),
        tempo=random.uniform(0.8, 1.3, NUM_SUBJECTS),
        vigour=random.uniform(0.75, 1.25, NUM_SUBJECTS),
        stoop=random.uniform(-0.05, 0.2, NUM_SUBJECTS),
        stance=random.uniform(0.0, 0.12, NUM_SUBJECTS),
        left_handed=np.isin(np.arange(NUM_SUBJECTS), random.choice(NUM_SUBJECTS, 2, replace=False)),
    )


def _perform(
    action: Action,
    subjects: _Subjects,
    subject_n: Index,
    camera_n: Index,
    random: np.random.Generator,
) -> _Performance:
    """Plays an action once a clip."""
    num_clips = len(subject_n)
    seconds_n = action.seconds * random.uniform(0.6, 1.6, num_clips) / subjects.tempo[subject_n]
    frames_n = np.clip(np.rint(seconds_n * _FRAMES_PER_SECOND), 8, _MOST_FRAMES).astype(np.int64)
    time_nt = np.arange(frames_n.max()) / (frames_n[:, None] - 1)
    begin_n1 = random.uniform(0.0, 0.25, (num_clips, 1))
    end_n1 = random.uniform(0.75, 1.0, (num_clips, 1))
    phase_nt = np.clip((time_nt - begin_n1) / (end_n1 - begin_n1), 0.0, 1.0)
    phase_nt = phase_nt ** random.uniform(0.65, 1.5, (num_clips, 1))

    figure, side_n = _figure(action.act, subjects, subject_n, phase_nt, random)
    figures, people = [figure], [subject_n]
    if action.partner:
        other_n = (subject_n + random.integers(1, NUM_SUBJECTS, num_clips)) % NUM_SUBJECTS
        partner, _ = _figure(action.partner, subjects, other_n, phase_nt, random)
        figures.append(_facing(partner, random.uniform(0.85, 1.25, num_clips)))
        people.append(other_n)
    world_nmtvc, people_nm = np.stack(figures, axis=1), np.stack(people, axis=1)
    if action.partner:
        # The sensor numbers the bodies as it finds them.
        swapped_n = random.random(num_clips) < 0.5
        world_nmtvc[swapped_n] = world_nmtvc[swapped_n, ::-1]
        people_nm[swapped_n] = people_nm[swapped_n, ::-1]
    real, up_nc, floor_n = before_camera(world_nmtvc, camera_n, random)
    seen = sensed(real, frames_n, random).astype(np.float32)
    first_n = glimpses(frames_n, random)
    return _Performance(real, seen, first_n, frames_n, up_nc, floor_n, people_nm, side_n)


def _held(action: Action, side: int, random: np.random.Generator) -> Held | None:
    """What the actor holds: what the action needs, or anything, or nothing."""
    if action.thing:
        return Held(action.thing, side)
    carries, thing = random.random() < _CARRIED, str(random.choice(sorted(THINGS)))
    return Held(thing, side) if carries and not action.partner else None


def _figure(
    act: Callable[[Pose, Motion], None],
    subjects: _Subjects,
    subject_n: Index,
    phase_nt: Array,
    random: np.random.Generator,
) -> tuple[Array, Index]:
    """One body a clip doing an action, (N, T, V, 3) in the figure's world; its hand, (N,)."""
    num_clips, num_frames = phase_nt.shape
    left_n = subjects.left_handed[subject_n] ^ (random.random(num_clips) < 0.05)
    motion = Motion(
        random=random,
        phase=phase_nt,
        vigour=subjects.vigour[subject_n, None] * random.uniform(0.8, 1.2, (num_clips, 1)),
        dominant=np.where(left_n, 0, 1),
    )
    pose = Pose.standing(num_clips, num_frames)
    _fidget(pose, motion, subjects, subject_n)
    act(pose, motion)
    body = Body.of(subjects.height[subject_n], subjects.build[subject_n])
    return joints_of(pose, body), motion.dominant


def _fidget(pose: Pose, motion: Motion, subjects: _Subjects, subject_n: Index) -> None:
    """How people stand about: posture, sway, idle hands, a look around."""
    random, shape = motion.random, motion.phase.shape

    def slow(size: float, *more: int) -> Array:
        """Two slow sines of random size, rate and phase, (N, T, *more)."""
        time = motion.phase.reshape(*shape, *(1 for _ in more))
        total: Array = np.zeros((*shape, *more))
        for fastest in (1.5, 3.0):
            clips = (shape[0], 1, *more)
            rate, offset = random.uniform(0.3, fastest, clips), random.uniform(0.0, 2.0, clips)
            total += size * random.normal(0.0, 0.6, clips) * np.sin(np.pi * (rate * time + offset))
        return total

    pose.turn += motion.draw(-0.15, 0.15) + slow(0.15)
    pose.bend += subjects.stoop[subject_n, None] + motion.draw(-0.05, 0.1) + slow(0.03)
    pose.roll += slow(0.03)
    pose.twist += slow(0.06)
    pose.nod += motion.draw(-0.1, 0.25) + slow(0.06)
    pose.look += motion.draw(-0.3, 0.3) + slow(0.15)
    drift = slow(0.12, 2)
    pose.pelvis[..., ::2] += drift + slow(0.01, 2)
    pose.feet[..., ::2] += drift[:, :, None]
    pose.pelvis[..., 1] -= motion.draw(0.0, 0.03)
    stance = subjects.stance[subject_n, None] + motion.draw(0.0, 0.06)
    pose.feet[..., 0] += stance[..., None] * SIDES
    pose.feet[..., 2] += random.normal(0.0, 0.06, (shape[0], 1, 2))
    pose.hands += random.normal(0.0, 0.05, (shape[0], 1, 2, 3)) + slow(0.035, 2, 3)
    # Some hands are not idle: on the hip, before the belly, in a gesture of their own.
    busy = random.random((shape[0], 1, 2, 1)) < 0.5
    place = random.uniform([-0.15, -0.7, 0.1], [0.15, -0.2, 0.5], (shape[0], 1, 2, 3))
    place[..., 0] += 0.35 * SIDES
    amount = 0.5 + 0.5 * np.clip(slow(1.5, 2, 1), -1.0, 1.0)
    pose.hands += busy * amount * (place - pose.hands)


def _facing(joints_ntvc: Array, distance_n: Array) -> Array:
    """A partner turned about and set before the actor."""
    away = np.stack([np.zeros_like(distance_n), np.zeros_like(distance_n), distance_n], -1)
    turned: Array = joints_ntvc * np.array([-1.0, 1.0, -1.0]) + away[:, None, None]
    return turned
