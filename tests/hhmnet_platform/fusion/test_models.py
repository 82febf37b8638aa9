"""Models of ensembles: runs that are not in the workspace are taken from MLflow."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_models import CLASSES, random_clips, write_random_model

from hhmnet_core.deploy.folders import write_model
from hhmnet_core.deploy.model import load_model
from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.selection import SelectionConfig
from hhmnet_platform.fusion.candidates import Candidate
from hhmnet_platform.fusion.ensemble import Ensemble, make_ensemble
from hhmnet_platform.fusion.models import ensemble_model
from hhmnet_platform.storage.workspace import Workspace
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.client import open_for_writing
from hhmnet_platform.tracking.models import log_model


def table(run: str, member: str, split: str) -> ScoreTable:
    random = np.random.default_rng(len(split))
    labels = random.integers(0, 3, 40)
    strength = 3 if member == "joint" else 2
    logits = random.normal(size=(40, 3)).astype(np.float32)
    logits[np.arange(40), labels] += strength
    names = tuple(f"{split}{number}" for number in range(40))
    return ScoreTable(names, labels, logits, run, member, split, "d" * 64, CLASSES)


def ensemble_of(run: str, run_ids: tuple[str, str]) -> Ensemble:
    candidates = [
        Candidate(run, member, table(run, member, "val"), table(run, member, "test"), run_id)
        for member, run_id in zip(("joint", "bone"), run_ids, strict=True)
    ]
    selected = make_ensemble(candidates, [], SelectionConfig(steps=4, bags=1))
    return replace(selected, weights=np.array([0.75, 0.25]))


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("HHMNET_CACHE", str(tmp_path / "cache"))
    return Workspace(str(tmp_path / "workspace"))


@pytest.fixture
def children(workspace: Workspace, tmp_path: Path) -> tuple[str, str]:
    """The MLflow runs of the members of a run whose model its parent run holds."""
    model = write_random_model(tmp_path / "made", name="elsewhere")
    with open_for_writing(workspace.tracking_uri("")) as client:
        experiment = client.create_experiment("toy/cross-view", str(tmp_path / "mlartifacts"))
        parent = client.create_run(experiment).info.run_id
        log_model(client, experiment, parent, model)
        joint, bone = (
            str(client.create_run(experiment, tags={tags.MLFLOW_PARENT: parent}).info.run_id)
            for _ in range(2)
        )
        return joint, bone


def test_networks_of_other_workspaces_come_from_mlflow(
    workspace: Workspace, children: tuple[str, str], tmp_path: Path
) -> None:
    ensemble = ensemble_of("elsewhere", children)
    uri = workspace.tracking_uri("")
    write_model(ensemble_model("both", ensemble, workspace, uri), tmp_path / "both")
    single, both = load_model(tmp_path / "made"), load_model(tmp_path / "both")
    clips = random_clips()
    expected, found = single.logits(clips), both.logits(clips)
    for member in ("joint", "bone"):
        np.testing.assert_array_equal(found[member], expected[member])
    assert [each.weight for each in both.description.networks] == [0.75, 0.25]
    assert both.description.runs == ("elsewhere",)


def test_run_that_is_nowhere_is_named(workspace: Workspace, children: tuple[str, str]) -> None:
    with open_for_writing(workspace.tracking_uri("")) as client:
        experiment = client.get_experiment_by_name("toy/cross-view")
        assert experiment is not None
        run_id = client.create_run(experiment.experiment_id).info.run_id
    ensemble = ensemble_of("elsewhere", (run_id, run_id))
    with pytest.raises(InputError, match=f"holds no model of run {run_id}"):
        ensemble_model("both", ensemble, workspace, workspace.tracking_uri(""))
