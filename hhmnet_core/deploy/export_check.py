"""The check of an exported file: it is run on made clips and compared with the model.

Re-ranking and the mask of RE-DMT choose joints by rank. Where two joints are equally strong up to
rounding, two correct programs may choose differently, and so does the model itself in other
batches or on another CPU. Such a clip is recognised by changing its joints by a few roundings: if
the model's own prediction jumps, the clip decides nothing. It may be a quarter of the clips.

Shapes: N clips, M bodies, T frames, V joints, C coordinates, K classes, S networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.deploy.export_formats import RunGraph
from hhmnet_core.deploy.model import Logits, Model
from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import Layout

Clips = list[NDArray[np.float32]]  # of joints (M, T, V, C)

MAX_DIFFERENCE = 1e-5  # of probabilities
MAX_LOGIT_DIFFERENCE = 1e-4  # relative to a clip's largest logit, or absolute where it is below 1
MAX_UNDECIDED_SHARE = 0.25
_ROUNDINGS = (3e-7, 1e-6, 3e-6)  # relative changes of joints
_TRIES = 8  # with each of them
# (bodies, frames) of the clips of each batch.
BATCHES: tuple[tuple[tuple[int, int], ...], ...] = (
    ((1, 1),),
    ((2, 1),),
    ((1, 7),),
    ((2, 7),),
    ((1, 300),),
    ((2, 300),),
    ((1, 1),) * 5,
    ((1, 7), (1, 2), (1, 7), (1, 5), (1, 6)),
    ((1, 1), (2, 7), (1, 300), (2, 48), (1, 2)),
)


@dataclass(frozen=True)
class Agreement:
    """The comparison of an exported file with its model.

    Attributes:
        num_clips: Number of clips that were compared.
        num_undecided: Clips among them that decide nothing.
        difference: Largest difference of a probability, over the other clips.
    """

    num_clips: int
    num_undecided: int
    difference: float


def check_graph(run: RunGraph, model: Model) -> Agreement:
    """Compare an exported file with its model, on made clips.

    Args:
        run: The file, as `load_graph` returns it.
        model: The model.

    Raises:
        InputError: They differ.
    """
    random = np.random.default_rng(1)
    undecided, differences = 0, []
    for shapes in BATCHES:
        clips = [make_clip(model.layout, *shape, random) for shape in shapes]
        found = run(*pad(clips))
        expected = _predict(model, clips)
        for clip, difference, is_equal in zip(
            clips, _differences(found, expected), _are_equal(found, expected), strict=True
        ):
            if is_equal:
                differences.append(float(difference))
            elif _is_undecided(model, clip):
                undecided += 1
            else:
                bodies, frames = clip.shape[:2]
                raise InputError(
                    f"The exported file differs from the model {model.description.name} by "
                    f"{difference:.1e} in a probability of a made clip of {bodies} bodies and "
                    f"{frames} frames, in a batch of {len(clips)}; expected at most "
                    f"{MAX_DIFFERENCE:.0e}. It was not written: use --format model, and report "
                    "this with the versions of torch and onnxruntime."
                )
    total = sum(map(len, BATCHES))
    if undecided > MAX_UNDECIDED_SHARE * total:
        raise InputError(
            f"The exported file differs from the model {model.description.name} in {undecided} of "
            f"{total} made clips. The model's own predictions jump there under rounding, so the "
            "file cannot be checked. It was not written: use --format model."
        )
    return Agreement(total, undecided, max(differences))


def make_clip(
    layout: Layout, bodies: int, frames: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """Return moving bodies (M, T, V, C). With several bodies and frames, the first comes late."""
    unit = 1.0 if layout.channels == 3 else 100.0  # metres, pixels
    pose_mvc = random.normal(size=(bodies, layout.num_joints, layout.channels))
    pose_mvc *= 0.25 / np.linalg.norm(pose_mvc, axis=2, keepdims=True)
    depth_v = layout.hops[layout.centre].numpy()
    for joint in sorted(range(layout.num_joints), key=lambda joint: int(depth_v[joint])):
        if joint != layout.centre:
            pose_mvc[:, joint] += pose_mvc[:, layout.parents[joint]]
    pose_mvc += random.normal(size=(bodies, 1, layout.channels))
    time_t11 = np.arange(frames)[:, None, None]
    pace, phase = random.uniform(0.1, 0.5, (2, bodies, 1, layout.num_joints, layout.channels))
    joints = pose_mvc[:, None] + 0.1 * np.sin(pace * time_t11 + 10 * phase)
    if bodies > 1:
        joints[0, : frames // 3] = 0
    made: NDArray[np.float32] = (unit * joints).astype(np.float32)
    return made


def pad(
    clips: Sequence[NDArray[np.float32]],
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Return the inputs of an exported graph for some clips, NaN where there is padding."""
    bodies_n, frames_n = (np.array([clip.shape[axis] for clip in clips]) for axis in (0, 1))
    shape = len(clips), bodies_n.max(), frames_n.max(), *clips[0].shape[2:]
    joints = np.full(shape, np.nan, np.float32)
    for row, clip in zip(joints, clips, strict=True):
        row[: clip.shape[0], : clip.shape[1]] = clip
    return joints, frames_n.astype(np.int64), bodies_n.astype(np.int64)


Predictions = tuple[NDArray[np.floating], NDArray[np.floating]]  # (N, K), and logits (N, S, K)


def _predict(model: Model, clips: Clips) -> Predictions:
    logits: Logits = model.logits(clips)
    names = [each.name for each in model.description.networks if each.weight]
    return model.probabilities(logits), np.stack([logits[name] for name in names], 1)


def _differences(found: Predictions, expected: Predictions) -> NDArray[np.floating]:
    """Return the largest difference of a probability of each clip, (N,)."""
    difference_n: NDArray[np.floating] = np.abs(found[0] - expected[0]).max(1)
    return difference_n


def _are_equal(found: Predictions, expected: Predictions) -> NDArray[np.bool_]:
    """Return which clips have equal probabilities and logits, (N,). NaN is equal to nothing."""
    scale_n = np.abs(expected[1]).max((1, 2)).clip(1)
    logit_difference_n = np.abs(found[1] - expected[1]).max((1, 2)) / scale_n
    equal_n: NDArray[np.bool_] = (_differences(found, expected) <= MAX_DIFFERENCE) & (
        logit_difference_n <= MAX_LOGIT_DIFFERENCE
    )
    return equal_n


def _is_undecided(model: Model, clip: NDArray[np.float32]) -> bool:
    """Return whether the model's prediction for a clip jumps under rounding of its joints."""
    random = np.random.default_rng(2)
    changed = [
        clip * (1 + size * random.uniform(-1, 1, clip.shape)).astype(np.float32)
        for size in _ROUNDINGS
        for _ in range(_TRIES)
    ]
    expected, *found = (_predict(model, [each]) for each in (clip, *changed))
    return not all(_are_equal(each, expected)[0] for each in found)
