"""Models are found by MLflow's addresses, downloaded once, and compared with their checksums."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from random_models import random_clips, write_random_model

from hhmnet_core.deploy.folders import read_description
from hhmnet_core.deploy.model import load_model
from hhmnet_core.errors import InputError
from hhmnet_platform.tracking import model_downloads, tags
from hhmnet_platform.tracking.model_downloads import download_model, is_mlflow_address
from hhmnet_platform.tracking.models import log_model


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HHMNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return MlflowClient(uri)


@pytest.fixture
def experiment(client: MlflowClient, folder: Path) -> str:
    return str(client.create_experiment("toy/cross-view", str(folder / "mlartifacts")))


@pytest.fixture
def logged(client: MlflowClient, experiment: str, tmp_path: Path) -> Callable[[int], str]:
    """`logged(seed)`: log the random model of a seed to a new run; return the run's id."""

    def log(seed: int) -> str:
        run_id = str(client.create_run(experiment).info.run_id)
        model = write_random_model(tmp_path / f"model-{seed}", seed)
        log_model(client, experiment, run_id, model)
        return run_id

    return log


def name_of(folder: str) -> str:
    return read_description(folder).name


def test_every_address_leads_to_its_model(
    uri: str, client: MlflowClient, experiment: str, logged: Callable[[int], str], tmp_path: Path
) -> None:
    first, second = logged(1), logged(2)
    client.set_registered_model_alias("hhmnet-toy", "champion", "1")
    child = client.create_run(experiment, tags={tags.MLFLOW_PARENT: second}).info.run_id
    (model_id,) = (
        each.model_id
        for each in client.search_logged_models([experiment], f"source_run_id = '{second}'")
    )
    for address, expected in {
        "models:/hhmnet-toy/1": 1,
        "models:/hhmnet-toy/2": 2,
        "models:/hhmnet-toy/latest": 2,
        "models:/hhmnet-toy@champion": 1,
        f"models:/{model_id}": 2,
        f"runs:/{first}": 1,
        f"runs:/{first}/model": 1,
        f"runs:/{child}": 2,
    }.items():
        assert is_mlflow_address(address)
        assert name_of(download_model(uri, address)) == f"toy-phase1-{expected}", address
    clips = random_clips()
    found = load_model(download_model(uri, "models:/hhmnet-toy/2")).predict(clips)
    np.testing.assert_array_equal(found, load_model(tmp_path / "model-2").predict(clips))


def test_model_is_downloaded_once(
    uri: str, logged: Callable[[int], str], folder: Path, cache: Path
) -> None:
    logged(1)
    first = download_model(uri, "models:/hhmnet-toy/1")
    assert Path(first).parent == cache and [each.name for each in cache.iterdir()] == [
        Path(first).name
    ]
    shutil.rmtree(folder / "mlartifacts")
    assert download_model(uri, "models:/hhmnet-toy/1") == first


def test_models_that_were_used_longest_ago_make_room(
    uri: str, logged: Callable[[int], str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = []
    for number in (1, 2, 3):
        logged(number)
        paths.append(Path(download_model(uri, f"models:/hhmnet-toy/{number}")))
    size = sum(each.stat().st_size for each in paths[0].iterdir())
    monkeypatch.setattr(model_downloads, "MAX_BYTES", int(2.5 * size))
    download_model(uri, "models:/hhmnet-toy/3")
    assert all(each.exists() for each in paths)  # all were used within the hour
    for path, hours in zip(paths, (2, 4, 3), strict=True):
        then = path.stat().st_mtime - 3600 * hours
        os.utime(path, (then, then))
    assert Path(download_model(uri, "models:/hhmnet-toy/3")) == paths[2]
    assert [each.exists() for each in paths] == [True, False, True]
    assert Path(download_model(uri, "models:/hhmnet-toy/2")) == paths[1]  # downloaded again
    assert [each.exists() for each in paths] == [False, True, True]


def test_damaged_copy_is_downloaded_again(
    uri: str, logged: Callable[[int], str], cache: Path
) -> None:
    logged(1)
    copy = Path(download_model(uri, "models:/hhmnet-toy/1"))
    whole = (copy / "bone.safetensors").read_bytes()
    (copy / "bone.safetensors").write_bytes(whole[:-1] + b"?")
    assert download_model(uri, "models:/hhmnet-toy/1") == str(copy)
    assert (copy / "bone.safetensors").read_bytes() == whole


def test_model_that_is_damaged_in_mlflow_is_refused(
    uri: str, logged: Callable[[int], str], folder: Path, cache: Path
) -> None:
    logged(1)
    (file,) = folder.glob("mlartifacts/models/*/artifacts/data/model-1/bone.safetensors")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"bone\.safetensors .* does not match its checksum"):
        download_model(uri, "models:/hhmnet-toy/1")
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "refusal"),
    [
        ("models:/hhmnet-toys/1", "has no registered model hhmnet-toys: it has hhmnet-toy"),
        (
            "models:/hhmnet-toy/7",
            r"no version 7 of hhmnet-toy: it has the versions 2, 1 and the aliases best \(2\)",
        ),
        ("models:/hhmnet-toy@champion", "no alias champion of hhmnet-toy: it has the versions 2"),
        ("models:/hhmnet-toy", "is no address of a model .* expected models:/NAME/VERSION"),
        ("models:/hhmnet-toy/Production", "is no address of a model"),
        ("models:/m-" + "0" * 32, "has no logged model m-0000"),
        ("runs:/" + "0" * 32, "has no run 0000"),
        ("runs:/" + "0" * 32 + "/other", "is no address of a model"),
    ],
)
def test_other_addresses_are_refused_with_what_there_is(
    uri: str, client: MlflowClient, logged: Callable[[int], str], address: str, refusal: str
) -> None:
    logged(1)
    logged(2)
    client.set_registered_model_alias("hhmnet-toy", "best", "2")
    with pytest.raises(InputError, match=refusal):
        download_model(uri, address)


def test_run_without_a_model_is_refused(uri: str, client: MlflowClient, experiment: str) -> None:
    run_id = client.create_run(experiment).info.run_id
    with pytest.raises(InputError, match=f"holds no model of run {run_id}: give the run's own"):
        download_model(uri, f"runs:/{run_id}/model")


def test_model_of_another_maker_is_refused(
    uri: str, client: MlflowClient, experiment: str, tmp_path: Path
) -> None:
    other = client.create_logged_model(experiment, "other")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "model.pkl").write_bytes(b"pickle")
    client.log_model_artifacts(other.model_id, str(tmp_path / "data"), "data")
    client.create_registered_model("other")
    client.create_model_version("other", other.artifact_location)
    with pytest.raises(InputError, match=r"models:/other/1 .* is no model of this platform"):
        download_model(uri, "models:/other/1")


def test_missing_database_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no .*/none\.db, where models:/a/1 should be"):
        download_model(f"sqlite:///{tmp_path}/none.db", "models:/a/1")
    assert not (tmp_path / "none.db").exists()


def test_server_that_does_not_answer_is_named(free_port: int) -> None:
    uri = f"http://127.0.0.1:{free_port}"
    with pytest.raises(InputError, match=f"MLflow at {uri} cannot answer"):
        download_model(uri, "models:/a/1")
