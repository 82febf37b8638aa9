"""Models predict what the score tables of their runs hold, for any batch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_networks import random_network, write_random_model
from scipy.special import log_softmax, softmax

from hhmnet_core.deploy.model import body_spread, load_model
from hhmnet_core.deploy.packing import Packed
from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import fuse
from hhmnet_core.fusion.scores import FUSION, ScoreTable
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.inputs.footage import Footage
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.clips import Clip, ClipSet, Video

Tables = dict[str, ScoreTable]


def clips_of(clips: ClipSet, table: ScoreTable, footage: Footage | None = None) -> list[Clip]:
    """Return the clips of a table, in its order, with their videos where there are any."""
    number_of = {str(name): number for number, name in enumerate(clips.sample_ids)}
    chosen = []
    for name in table.sample_ids:
        number = number_of[name]
        clip = clips.clip(number)
        if footage is not None:
            images = tuple(bytes(image.as_py()) for image in footage.files[number].values)
            joints = footage.joints_nmfv2[number, : len(clip.joints)]
            clip = replace(clip, video=Video(images, footage.positions_nf[number], joints))
        chosen.append(clip)
    return chosen


def test_in_the_batches_of_the_run_logits_equal_its_score_tables(
    skeleton_model: str, phase1_tables: Tables, clips: ClipSet
) -> None:
    model = load_model(skeleton_model)
    table = phase1_tables[FUSION]
    logits = model.logits(clips_of(clips, table))
    for modality in MODALITIES:
        np.testing.assert_array_equal(logits[modality], phase1_tables[modality].logits)
    np.testing.assert_array_equal(model.combine(logits), table.logits)
    np.testing.assert_array_equal(
        model.probabilities(logits), softmax(table.logits.astype(np.float64), axis=1)
    )


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_probabilities_do_not_depend_on_the_batch(
    batch: int, skeleton_model: str, phase1_tables: Tables, clips: ClipSet
) -> None:
    table = phase1_tables[FUSION]
    expected = softmax(table.logits.astype(np.float64), axis=1)
    found = load_model(skeleton_model).predict(clips_of(clips, table), batch)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("batch", [None, 1, 64])
def test_a_model_with_video_predicts_the_fusion_with_its_guide(
    batch: int | None,
    video_model: str,
    phase1_tables: Tables,
    phase2_tables: Tables,
    clips: ClipSet,
    footage: Footage,
) -> None:
    table = phase2_tables["video"]
    chosen = clips_of(clips, table, footage)
    found = load_model(video_model).logits(chosen, batch)
    np.testing.assert_allclose(found["video"], table.logits, rtol=0, atol=2e-5)
    streams = [
        replace(phase1_tables[m], sample_ids=table.sample_ids, labels=table.labels,
                logits=phase1_tables[m].logits[
                    [phase1_tables[m].sample_ids.index(each) for each in table.sample_ids]
                ], copies=frozenset(), subjects=table.subjects)
        for m in MODALITIES
    ]  # fmt: skip
    fused = fuse([*streams, replace(table, copies=frozenset())])
    probabilities = load_model(video_model).predict(chosen, batch)
    expected = softmax(fused.logits.astype(np.float64), axis=1)
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-6)


def test_an_ensemble_averages_logarithms_of_probabilities(
    write: object, encoders: list[Packed], phase1_tables: Tables, clips: ClipSet
) -> None:
    settings = {"joint": (0.7, 1.3), "bone": (0.3, 0.6)}
    networks = [
        (replace(network, weight=settings[network.name][0], temperature=settings[network.name][1]),
         tensors)
        for network, tensors in encoders if network.name in settings
    ]  # fmt: skip
    uri = write("ensemble", networks, combination="log_probabilities", temperature=0.8)  # type: ignore[operator]
    logs = sum(
        weight * log_softmax(phase1_tables[name].logits.astype(np.float64) / t, axis=1)
        for name, (weight, t) in settings.items()
    )
    found = load_model(uri).predict(clips_of(clips, phase1_tables["joint"]))
    np.testing.assert_allclose(found, softmax(np.asarray(logs) / 0.8, axis=1), rtol=0, atol=1e-12)


def test_weights_of_a_fusion_are_those_of_the_logits(
    write: object, encoders: list[Packed], phase1_tables: Tables, clips: ClipSet
) -> None:
    shares = dict(zip(MODALITIES, (0.6, 0.6, 0.4, 0.4), strict=True))
    networks = [(replace(each, weight=shares[each.name]), tensors) for each, tensors in encoders]
    model = load_model(write("weighted", networks, kind="fusion"))  # type: ignore[operator]
    fused = fuse([phase1_tables[each] for each in MODALITIES], list(shares.values()))
    found = model.combine(model.logits(clips_of(clips, fused)))
    np.testing.assert_array_equal(found, fused.logits)


def test_arrays_are_clips_without_padding_and_absent_bodies(
    skeleton_model: str, clips: ClipSet
) -> None:
    model = load_model(skeleton_model)
    clip = next(clips.clip(n) for n in range(len(clips)) if clips.num_bodies[n] == 1)
    expected = model.predict([clip])
    padded = np.zeros((2, clip.joints.shape[1] + 9, *clip.joints.shape[2:]), np.float64)
    padded[0, 4 : 4 + clip.joints.shape[1]] = clip.joints[0]
    for array in (clip.joints, clip.joints[0], padded):
        np.testing.assert_array_equal(model.predict([array]), expected)


def test_no_clips_have_no_predictions(skeleton_model: str) -> None:
    assert load_model(skeleton_model).predict([]).shape == (0, 3)


def test_a_model_may_be_used_without_its_video(
    video_model: str, skeleton_model: str, clips: ClipSet
) -> None:
    some = [clips.clip(number) for number in range(3)]
    np.testing.assert_array_equal(
        load_model(video_model, without_video=True).predict(some),
        load_model(skeleton_model).predict(some),
    )


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 25, 3)), "25 joints of 3 channels, but layout kinect_v1_20"),
        (np.zeros((4, 20, 3)), "shows nobody"),
        (np.full((4, 20, 3), np.nan), "shows nobody"),
        (np.zeros((4, 20)), "expected numbers of"),
        (np.full((4, 20, 3), "a"), "expected numbers of"),
    ],
)
def test_arrays_that_are_no_clips_are_refused(
    array: np.ndarray, message: str, skeleton_model: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_model(skeleton_model).predict([array])


def test_a_lost_joint_is_refused(skeleton_model: str, clips: ClipSet) -> None:
    joints = clips.clip(0).joints.copy()
    joints[0, 0, 3] = np.nan
    with pytest.raises(InputError, match="1 positions in 1"):
        load_model(skeleton_model).predict([joints])


@pytest.mark.parametrize("scaled", [{}, {"normalise_size": True}, {"normalise_axes": True}])
def test_arrays_in_another_unit_are_refused_where_the_unit_counts(
    scaled: dict[str, bool], tmp_path: Path
) -> None:
    network, tensors = random_network("joint", data=DataConfig(frames=16, **scaled))
    mean_vc = tensors["input_mean"].numpy()
    model = load_model(write_random_model(tmp_path / "model", [(network, tensors)]))
    pose = np.tile(mean_vc + 5, (20, 1, 1))  # the mean body, elsewhere
    spread = np.sqrt(((mean_vc - mean_vc.mean(0)) ** 2).sum(1).mean())
    assert body_spread(pose[None]) == pytest.approx(spread)
    upper = np.sqrt(spread**2 + 3 * float(tensors["input_std"]) ** 2)
    for factor in (0.2, 1.0, 7.9 * upper / spread):
        model.predict([factor * pose])
    for factor in (0.1, 8.1 * upper / spread):
        if scaled:
            model.predict([factor * pose])
            continue
        with pytest.raises(InputError, match=rf"Clip 0: its joints lie {factor * spread:.3g} from"):
            model.predict([factor * pose])


def test_frames_without_a_body_do_not_count_in_its_spread() -> None:
    joints = np.zeros((2, 4, 20, 3), np.float32)
    assert body_spread(joints) == 0
    joints[0, :3, :10, 0] = 2
    assert body_spread(joints) == 1


def test_a_clip_without_the_video_that_the_model_reads_is_refused(
    video_model: str, clips: ClipSet, footage: Footage
) -> None:
    model = load_model(video_model)
    with pytest.raises(InputError, match="have no video"):
        model.predict([clips.clip(0)])
    with pytest.raises(InputError, match="reads videos beside skeletons"):
        model.score(clips)


def test_clips_of_another_layout_are_refused(skeleton_model: str, clips: ClipSet) -> None:
    other = replace(clips, manifest=replace(clips.manifest, layout="kinect_v2_25"))
    with pytest.raises(InputError, match=r"layout kinect_v2_25, but the model reads kinect_v1_20"):
        load_model(skeleton_model).score(other)
