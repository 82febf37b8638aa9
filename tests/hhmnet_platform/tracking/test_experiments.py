from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException

from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.experiments import (
    ablation_experiment,
    ensure_experiment,
    experiment_name,
)


@pytest.mark.parametrize(
    ("selection", "name"),
    [
        ("val", "ntu60/xsub"),
        ("literature", "ntu60/xsub (literature)"),
        ("fold1of5", "ntu60/xsub (folds)"),
    ],
)
def test_runs_that_are_not_comparable_have_experiments_of_their_own(
    selection: str, name: str
) -> None:
    assert experiment_name("ntu60", "xsub", selection) == name


def test_experiment_is_made_once_with_its_artifacts(uri: str, folder: Path) -> None:
    client = MlflowClient(uri)
    made = ensure_experiment(client, "toy/xsub", str(folder / "artifacts"))
    assert ensure_experiment(client, "toy/xsub", "elsewhere") == made
    assert client.get_experiment(made).artifact_location == str(folder / "artifacts")
    assert len(client.search_experiments(filter_string="name = 'toy/xsub'")) == 1


def test_experiments_of_any_version_are_of_model_training(uri: str) -> None:
    client = MlflowClient(uri)
    client.create_experiment("of before")
    noted = client.create_experiment("noted", tags={tags.MLFLOW_NOTE: "my own words"})
    for name in ("of before", "noted", "new"):
        made = client.get_experiment(ensure_experiment(client, name, ""))
        assert made.tags[tags.MLFLOW_KIND] == "custom_model_development"
        assert made.tags[tags.MLFLOW_NOTE].startswith("Comparable runs") or made.name == "noted"
    assert client.get_experiment(noted).tags[tags.MLFLOW_NOTE] == "my own words"


class OvertakenClient(MlflowClient):
    """Sees no experiment at first, as a driver does while another one makes it."""

    looks = 0

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        self.looks += 1
        return super().get_experiment_by_name(name) if self.looks > 1 else None


def test_experiment_that_another_driver_makes_meanwhile_is_taken(uri: str) -> None:
    made = MlflowClient(uri).create_experiment("toy/xsub")
    assert ensure_experiment(OvertakenClient(uri), "toy/xsub", "") == made


def test_experiment_that_mlflow_refuses_is_an_error(uri: str) -> None:
    with pytest.raises(MlflowException):
        ensure_experiment(MlflowClient(uri), "x" * 501, "")


def test_ablations_have_an_experiment_of_their_own_with_its_own_note(uri: str) -> None:
    client = MlflowClient(uri)
    notes = [
        client.get_experiment(ensure_experiment(client, name, "")).tags[tags.MLFLOW_NOTE]
        for name in (ablation_experiment("toy"), experiment_name("toy", "xsub", "val"))
    ]
    assert notes[0].startswith("Ablations: ") and notes[1].startswith("Comparable runs: ")
