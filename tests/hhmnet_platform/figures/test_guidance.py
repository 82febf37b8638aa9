"""Heat maps of the guidance, drawn onto images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from video_files import write_video_store

from hhmnet_core.inputs.footage import Footage, load_footage
from hhmnet_core.models.joint_importance import ClipGuidance
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.reading import load_clips
from hhmnet_platform.figures import guidance


class HandEncoder:
    """Stands for a trained encoder: joint 7 alone is important."""

    def __init__(self, checkpoint: Path, modality: str, clips: ClipSet, device: object) -> None:
        self.shape = (clips.num_bodies.max(), clips.num_frames.max(), 20)

    def guidance(self, clips_n: torch.Tensor) -> ClipGuidance:
        importance = torch.zeros(len(clips_n), *map(int, self.shape))
        importance[..., 7] = 20
        return ClipGuidance(importance, torch.zeros(len(clips_n), 6, 4))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video_store(tmp_path_factory.mktemp("guidance") / "store")


@pytest.fixture(scope="module")
def clips(store: Path) -> ClipSet:
    return load_clips(store, store.parent / "cache")


@pytest.fixture(scope="module")
def footage(store: Path) -> Footage:
    return load_footage(store, store.parent / "cache")


@pytest.fixture(autouse=True)
def hand_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guidance.FrozenEncoder, "read", HandEncoder)


def draw(clips: ClipSet, footage: Footage, candidates: list[int]) -> Figure:
    return guidance.guidance_figure(Path("unused"), "bone", clips, footage, candidates)


def shown_ids(figure: Figure) -> list[str]:
    titles = [axis.get_title() for axis in figure.axes]
    return [title.splitlines()[1] for title in titles if title]


def test_a_row_per_class_shows_each_image_of_a_clip(clips: ClipSet, footage: Footage) -> None:
    figure = draw(clips, footage, list(range(len(clips))))
    ids = shown_ids(figure)
    classes = [int(clips.labels[clips.sample_ids.tolist().index(sample)]) for sample in ids]
    assert len(set(classes)) == len(classes) == min(6, len(np.unique(clips.labels)))
    assert len(figure.axes) == len(ids) * footage.positions_nf.shape[1]
    first = clips.sample_ids.tolist().index(ids[0])
    image = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_array_equal(image, footage.decode(first)[0])


def test_heat_is_highest_at_the_important_joint(clips: ClipSet, footage: Footage) -> None:
    figure = draw(clips, footage, [0])
    heat = np.asarray(figure.axes[0].images[1].get_array())
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    x, y = footage.joints_nmfv2[0, 0, 0, 7]
    assert abs((column + 0.5) / heat.shape[1] - x) <= 1 / heat.shape[1]
    assert abs((row + 0.5) / heat.shape[0] - y) <= 1 / heat.shape[0]


def test_clips_without_video_are_left_out(clips: ClipSet, footage: Footage) -> None:
    filmed = footage.has_video_n.copy()
    filmed[0] = False
    figure = draw(clips, replace(footage, has_video_n=filmed), [0, 1])
    assert shown_ids(figure) == [str(clips.sample_ids[1])]
