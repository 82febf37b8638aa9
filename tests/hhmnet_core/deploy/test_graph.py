"""The graph that is exported equals the model, before any exporter."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from random_networks import four_networks, random_model, random_network, tensors_of

from hhmnet_core.deploy.export_check import make_clip, pad
from hhmnet_core.deploy.folders import read_description, read_weights
from hhmnet_core.deploy.graph import ModelGraph
from hhmnet_core.deploy.model import Model
from hhmnet_core.deploy.packing import Packed
from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.augment import AugmentConfig
from hhmnet_core.skeleton.layouts import LAYOUTS

MOTION = DataConfig(frames=24, motion_share=0.5)
VIEWS = AugmentConfig(motion_share=0.5, views=3)
CLOCK = AugmentConfig(motion_share=0)
DRAWS = AugmentConfig(random_frames=True, motion_share=0, views=3)
SHAPES = [(1, 1), (2, 7), (1, 300), (3, 40), (1, 2)]


def compare(networks: list[Packed], **fields: object) -> None:
    """Compare the graph of a model with the model, on ragged clips."""
    described, weights = random_model(networks, **fields), tensors_of(networks)
    random = np.random.default_rng(1)
    clips = [make_clip(described.skeleton, *shape, random) for shape in SHAPES]
    graph, model = ModelGraph(described, weights), Model(described, weights)
    probabilities, logits = graph(*map(torch.from_numpy, pad(clips)))
    expected = model.logits(clips)
    assert list(expected) == graph.network_names
    np.testing.assert_allclose(logits, np.stack(list(expected.values()), 1), rtol=0, atol=2e-5)
    found = model.predict(clips)
    assert np.ptp(found, axis=0).min() > 1e-3  # the clips differ
    np.testing.assert_allclose(probabilities, found, rtol=0, atol=1e-5)


def test_four_modalities() -> None:
    compare(four_networks(), temperature=0.7)


@pytest.mark.parametrize("name", ["st_gcn", "ctr_gcn"])
def test_baselines(name: str) -> None:
    compare([random_network("bone", "bone", model=ModelConfig(name=name))])  # type: ignore[arg-type]


def test_networks_without_mask_reranking_or_selection() -> None:
    model = ModelConfig(widths=[16], heads=2, mask=False, rerank=False, select=False)
    compare([random_network("joint", model=model)])


@pytest.mark.parametrize("combination", ["logits", "log_probabilities"])
def test_an_ensemble_of_networks_that_read_clips_differently(combination: str) -> None:
    axes = DataConfig(frames=20, motion_share=0, normalise_axes=True)
    field = replace(axes, axes_extent="clip", whole_frames=True)
    networks = [
        random_network(
            "joint-1", "joint", DataConfig(frames=16, motion_share=0), weight=0.7, temperature=1.3
        ),
        random_network("joint-2", "joint", DataConfig(frames=24, align=True), weight=0.2),
        random_network("bone", "bone", axes, weight=0.6, temperature=0.5),
        random_network("motion", "joint_motion", replace(axes, normalise_size=True)),
        random_network("field", "bone_motion", field, augment=CLOCK),
        random_network("wide", "bone_motion", replace(field, motion_step=5), augment=CLOCK),
        random_network("torso", "bone", DataConfig(frames=24, align=True, align_by="torso")),
        random_network("moving", "joint", MOTION),
        random_network("views", "joint", MOTION, augment=VIEWS),
        random_network("axes", "joint", axes, augment=VIEWS),
        random_network("drawn", "joint_motion", field, augment=DRAWS),
        random_network("between", "joint", MOTION, augment=DRAWS),
    ]
    compare(networks, combination=combination, temperature=0.8)
    graph = ModelGraph(random_model(networks), tensors_of(networks))
    assert len(graph.preparations) == 11  # one for both motions of the field's reader


def test_networks_that_read_clips_alike_share_their_preparation() -> None:
    networks = four_networks()
    assert len(ModelGraph(random_model(networks), tensors_of(networks)).preparations) == 1


def test_a_skeleton_in_the_plane() -> None:
    layout = LAYOUTS["coco_17"]
    data = DataConfig(frames=16, normalise_size=True)
    compare([random_network("joint", data=data, layout=layout)], layout=layout.name)


def test_networks_that_trained_in_double_precision_are_exported_in_single() -> None:
    networks = [random_network("joint", precision="float64")]
    compare(networks)
    graph = ModelGraph(random_model(networks), tensors_of(networks))
    assert {each.dtype for each in graph.parameters()} == {torch.float32}


def test_networks_that_only_guide_others_are_left_out() -> None:
    networks = [random_network("joint"), random_network("bone", "bone", weight=0.0)]
    compare(networks)


def test_a_trained_model(skeleton_model: str) -> None:
    described = read_description(skeleton_model)
    weights = read_weights(skeleton_model, described)
    random = np.random.default_rng(1)
    clips = [make_clip(described.skeleton, *shape, random) for shape in SHAPES]
    probabilities, _ = ModelGraph(described, weights)(*map(torch.from_numpy, pad(clips)))
    expected = Model(described, weights).predict(clips)
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-5)


def test_a_model_with_video_is_refused(video_model: str) -> None:
    described = read_description(video_model)
    weights = read_weights(video_model, described)
    with pytest.raises(InputError, match=r"guidance needs a gradient.*--without_video true"):
        ModelGraph(described, weights)
    ModelGraph(described.without_video(), weights)
