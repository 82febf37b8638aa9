"""A run that is found by its name, its folder, an MLflow run, or its model."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from random_models import write_random_model

from hhmnet_core.deploy.folders import model_content, read_description, read_weights, write_model
from hhmnet_core.errors import InputError
from hhmnet_platform.storage.find_run import find_run
from hhmnet_platform.storage.workspace import Workspace
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.client import open_for_writing
from hhmnet_platform.tracking.models import log_model


def test_by_its_name_and_its_folder(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    run = workspace.run("first")
    assert find_run("first", workspace, "") == run
    elsewhere = Workspace(str(tmp_path / "elsewhere"))
    assert find_run(f"{run.uri}/", elsewhere, "") == run
    with pytest.raises(InputError, match="cannot be used"):
        find_run("..", workspace, "")


def test_by_its_model_and_its_mlflow_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HHMNET_CACHE", str(tmp_path / "cache"))
    workspace = Workspace(str(tmp_path))
    run = workspace.run("first")
    random, model = write_random_model(tmp_path / "random"), str(tmp_path / "model")
    described = read_description(random)
    content = model_content(replace(described, name="first"), read_weights(random, described))
    write_model(content, model)
    with open_for_writing(workspace.tracking_uri("")) as client:
        experiment = client.create_experiment("toy", str(tmp_path / "mlartifacts"))
        run_id = client.create_run(experiment, tags={tags.RUN: "first"}).info.run_id
        log_model(client, experiment, run_id, model)
    shutil.copytree(model, f"{run.uri}/model")
    for given in (
        f"{run.uri}/model", run_id, f"runs:/{run_id}", f"runs:/{run_id}/model",
        "models:/hhmnet-toy/1", "models:/hhmnet-toy/latest",
    ):  # fmt: skip
        assert find_run(given, workspace, "") == run, given
    with pytest.raises(InputError, match="has no registered model hhmnet-other"):
        find_run("models:/hhmnet-other/1", workspace, "")
