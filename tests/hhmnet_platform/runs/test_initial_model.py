"""The model that phase 1 starts from: checked before anything starts."""

from dataclasses import replace
from pathlib import Path

import pytest
from made_models import make_model
from video_files import write_video_store

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.store.manifest import Manifest
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.runs.config import Phase1Job
from hhmnet_platform.runs.initial_model import (
    check_initial_model,
    initial_digest,
    read_initial_weights,
)
from hhmnet_platform.runs.resolve import resolve_run
from hhmnet_platform.storage.workspace import Workspace

SMALL = ModelConfig(widths=[16, 32], heads=2, embedding=8)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video_store(tmp_path_factory.mktemp("initial") / "store")


@pytest.fixture(scope="module")
def model(store: Path) -> str:
    return make_model(load_clips(store), store.parent)


@pytest.fixture
def manifest(store: Path) -> Manifest:
    return load_clips(store).manifest


def job(store: Path, **changes: object) -> Phase1Job:
    values = {"data": DataConfig(str(store), frames=16), "model": SMALL, **changes}
    return Phase1Job(**values)  # type: ignore[arg-type]


def test_a_run_is_named_by_the_weights_it_starts_from_not_by_their_place(
    model: str, store: Path, tmp_path: Path
) -> None:
    workspace = Workspace(str(tmp_path))
    moved = Path(model).rename(store.parent / "moved")
    first = resolve_run(job(store, init_from=str(moved)), workspace, str(store))
    moved.rename(model)
    second = resolve_run(job(store, init_from=model), workspace, str(store))
    fresh = resolve_run(job(store), workspace, str(store))
    assert first.folder.name == second.folder.name != fresh.folder.name
    assert first.identity.guide == initial_digest(model)
    assert fresh.identity.guide is None


@pytest.mark.parametrize("same", [True, False])
def test_heads_are_kept_for_the_same_classes(same: bool, model: str, manifest: Manifest) -> None:
    names = manifest.class_names if same else tuple(reversed(manifest.class_names))
    weights = read_initial_weights(model, replace(manifest, class_names=names))
    assert weights.same_classes == same
    assert set(weights.by_modality) == {"joint", "bone", "joint_motion", "bone_motion"}


def test_models_that_do_not_fit_are_refused(model: str, manifest: Manifest) -> None:
    config = Phase1Config(model=SMALL, init_from=model)
    check_initial_model(config, manifest)
    with pytest.raises(
        InputError,
        match=r"reads layout kinect_v1_20, but .* kinect_v1_20_utd: give --data\.layout",
    ):
        check_initial_model(config, replace(manifest, layout="kinect_v1_20_utd"))
    other = replace(config, model=replace(SMALL, segments=2))
    with pytest.raises(InputError, match=r"differs in model\.segments \(there 4\)"):
        check_initial_model(other, manifest)
    with pytest.raises(InputError, match="There is no model at"):
        initial_digest(str(Path(model).parent))
