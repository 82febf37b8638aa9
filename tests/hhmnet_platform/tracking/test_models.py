"""Models in MLflow: logged once, registered once, with their code and without pickles."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModel
from mlflow.exceptions import MlflowException
from random_models import FIGURES, write_random_model

import hhmnet_core
from hhmnet_core.errors import InputError
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.datasets import TrackedSplit, dataset_input
from hhmnet_platform.tracking.derived_runs import DerivedRun, replace_derived_run
from hhmnet_platform.tracking.models import (
    CHAMPION,
    TrackedModel,
    log_derived_model,
    log_model,
    registered_name,
)

LOG_AS_A_RUN_DOES = """
import sys
from hhmnet_platform.tracking.client import exclusive_client
from hhmnet_platform.tracking.models import log_model

uri, artifacts, model = sys.argv[1:]
with exclusive_client(uri) as client:
    experiment = client.create_experiment("toy", artifacts)
    run = client.create_run(experiment)
    print(log_model(client, experiment, run.info.run_id, model).uri)
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    return write_random_model(tmp_path / "model")


@pytest.fixture
def client(uri: str, folder: Path) -> MlflowClient:
    made = MlflowClient(uri)
    made.create_experiment("toy/cross-view", str(folder / "mlartifacts"))
    return made


@pytest.fixture
def log(client: MlflowClient) -> Callable[..., TrackedModel]:
    """`log(model, run_id)`: log a model, to a new run by default."""
    experiment = client.get_experiment_by_name("toy/cross-view")
    assert experiment is not None
    number = experiment.experiment_id

    def to_run(model: str, run_id: str = "", **changes: object) -> TrackedModel:
        run_id = run_id or client.create_run(number).info.run_id
        return log_model(client, number, run_id, model, **changes)  # type: ignore[arg-type]

    return to_run


def new_run(client: MlflowClient) -> str:
    experiment = client.get_experiment_by_name("toy/cross-view")
    assert experiment is not None
    return str(client.create_run(experiment.experiment_id).info.run_id)


def logged_models(client: MlflowClient) -> list[LoggedModel]:
    experiment = client.get_experiment_by_name("toy/cross-view")
    assert experiment is not None
    return list(client.search_logged_models([experiment.experiment_id]))


def versions(client: MlflowClient) -> list[str]:
    return sorted(str(each.version) for each in client.search_model_versions())


def test_model_is_logged_and_registered_once(
    client: MlflowClient, log: Callable[..., TrackedModel], model: str
) -> None:
    run_id = new_run(client)
    first = log(model, run_id)
    assert first == TrackedModel("models:/hhmnet-toy/1")
    assert first.lines == ["Registry models:/hhmnet-toy/1"]
    assert log(model, run_id) == first
    (logged,) = logged_models(client)
    assert (logged.status, logged.name, logged.source_run_id) == ("READY", "model", run_id)
    assert [each.model_id for each in client.get_run(run_id).outputs.model_outputs] == [
        logged.model_id
    ]
    registered = client.get_model_version("hhmnet-toy", "1")
    assert (registered.run_id, registered.source) == (run_id, logged.artifact_location)
    expected = {
        "hhmnet.name": "toy-phase1-1",
        "hhmnet.kind": "phase1",
        tags.DATASET: "toy",
        tags.PROTOCOL: "cross-view",
        tags.SELECTION: "val",
        tags.DATA_DIGEST: "d" * 64,
    } | {f"hhmnet.{name}": f"{value:.6g}" for name, value in FIGURES.items()}
    assert expected.items() <= registered.tags.items()
    assert expected.items() <= logged.tags.items()
    linked = json.loads(logged.tags[tags.MLFLOW_VERSIONS])
    assert linked == [{"name": "hhmnet-toy", "version": "1"}]
    assert client.get_registered_model("hhmnet-toy").aliases == {}


def test_page_of_a_model_shows_params_metrics_and_how_to_use_it(
    client: MlflowClient, log: Callable[..., TrackedModel], model: str
) -> None:
    run_id = new_run(client)
    client.log_param(run_id, "optim.lr", "0.1")
    client.log_metric(run_id, "test/top1", 0.5, timestamp=7, step=3)
    client.log_metric(run_id, "train/loss", 0.5)
    split = TrackedSplit("test", "2" * 64, 4)
    client.log_inputs(run_id, datasets=[dataset_input("toy", "/store", False, split)])
    log(model, run_id)
    (logged,) = logged_models(client)
    assert logged.params == {"optim.lr": "0.1"}
    (metric,) = logged.metrics
    assert (metric.key, metric.value, metric.dataset_name) == ("test/top1", 0.5, "toy")
    assert len(client.get_metric_history(run_id, "test/top1")) == 1
    for note in (
        logged.tags[tags.MLFLOW_NOTE],
        client.get_model_version("hhmnet-toy", "1").description,
    ):
        assert f"hhmnet predict --model runs:/{run_id} --input FILE" in note


def test_model_of_a_fold_is_logged_and_not_registered(
    client: MlflowClient, log: Callable[..., TrackedModel], tmp_path: Path
) -> None:
    found = log(write_random_model(tmp_path / "fold", selection="fold-2-of-5"))
    (logged,) = logged_models(client)
    assert found.uri == f"models:/{logged.model_id}" and logged.status == "READY"
    assert found.lines == [f"MLflow   models:/{logged.model_id}"]
    assert client.search_registered_models() == []


def test_content_that_is_registered_gets_no_second_version(
    client: MlflowClient, log: Callable[..., TrackedModel], model: str, tmp_path: Path
) -> None:
    assert log(model).uri == log(model).uri == "models:/hhmnet-toy/1"  # a run that was replaced
    assert log(write_random_model(tmp_path / "other", 2)).uri == "models:/hhmnet-toy/2"
    assert versions(client) == ["1", "2"] and len(logged_models(client)) == 3


def test_logging_loads_nothing_and_infers_nothing(
    log: Callable[..., TrackedModel], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "mlflow.models.infer_pip_requirements",
        "hhmnet_core.deploy.pyfunc.load_model",
        "hhmnet_core.deploy.model.load_model",
    ):
        monkeypatch.setattr(name, lambda *_, **__: pytest.fail("that takes seconds"))
    assert log(model).uri


def test_logging_prints_nothing(uri: str, folder: Path, model: str) -> None:
    """In a process of its own: MLflow's loggers are set up when it is imported."""
    arguments = [sys.executable, "-c", LOG_AS_A_RUN_DOES, uri, str(folder / "artifacts"), model]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "models:/hhmnet-toy/1\n", "")


def test_logged_folder_holds_the_model_the_core_and_no_pickle(
    client: MlflowClient, log: Callable[..., TrackedModel], model: str
) -> None:
    log(model)
    (logged,) = logged_models(client)
    place = Path(logged.artifact_location)
    files = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
    package = Path(hhmnet_core.__file__).parent
    core = {
        f"code/hhmnet_core/{path.relative_to(package).as_posix()}"
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    own = {f"data/model/{name}" for name in ("model.json", "joint.safetensors", "bone.safetensors")}
    assert files == core | own | {
        *("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt"),
        *("input_example.json", "serving_input_example.json"),
    }
    assert "code/hhmnet_core/sources/ntu/editions.json" in core
    for name in own:
        assert (place / name).read_bytes() == Path(model, Path(name).name).read_bytes()
    assert (
        "cloudpickle"
        not in (place / "MLmodel").read_text() + (place / "requirements.txt").read_text()
    )


def test_upload_that_failed_is_completed_by_the_same_call(
    client: MlflowClient,
    log: Callable[..., TrackedModel],
    model: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_id = new_run(client)

    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no server answers")

    with monkeypatch.context() as away, pytest.raises(ConnectionError):
        away.setattr(MlflowClient, "log_model_artifact", fail)
        log(model, run_id)
    assert [each.status for each in logged_models(client)] == ["PENDING"]
    assert versions(client) == []
    assert log(model, run_id).uri == "models:/hhmnet-toy/1"
    assert [each.status for each in logged_models(client)] == ["READY"]


def test_registry_that_is_away_is_no_refusal(
    client: MlflowClient,
    log: Callable[..., TrackedModel],
    model: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_id = new_run(client)

    def fail(*_: object, **__: object) -> None:
        raise MlflowException("Max retries exceeded")  # an INTERNAL_ERROR

    with monkeypatch.context() as away, pytest.raises(MlflowException):
        away.setattr(MlflowClient, "create_model_version", fail)
        log(model, run_id)
    assert log(model, run_id).uri == "models:/hhmnet-toy/1"
    assert len(logged_models(client)) == 1


@pytest.mark.parametrize("code", [403, 404, 501])
def test_registry_that_refuses_is_noted_and_the_model_is_kept(
    client: MlflowClient,
    log: Callable[..., TrackedModel],
    model: str,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
) -> None:
    from mlflow.utils.rest_utils import get_error_code

    def refuse(*_: object, **__: object) -> None:
        raise MlflowException("not for you", error_code=get_error_code(code))

    monkeypatch.setattr(MlflowClient, "create_registered_model", refuse)
    tracked = log(model)
    (logged,) = logged_models(client)
    assert tracked.uri == f"models:/{logged.model_id}" and logged.status == "READY"
    assert tracked.note.startswith("MLflow holds the model, but did not register it (not for you")
    assert tracked.lines[1] == f"note: {tracked.note}"


def test_server_without_models_is_noted(
    log: Callable[..., TrackedModel], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.protos.databricks_pb2 import ENDPOINT_NOT_FOUND

    def fail(*_: object, **__: object) -> None:
        raise MlflowException("no such page", error_code=ENDPOINT_NOT_FOUND)

    monkeypatch.setattr(MlflowClient, "search_logged_models", fail)
    tracked = log(model)
    assert tracked.uri == "" and tracked.lines == ["note: MLflow takes no model (no such page)."]


def test_champion_is_kept_filled_or_moved(
    client: MlflowClient, log: Callable[..., TrackedModel], tmp_path: Path
) -> None:
    def champion() -> str | None:
        version = client.get_registered_model("hhmnet-toy").aliases.get(CHAMPION)
        return None if version is None else str(version)

    models = [write_random_model(tmp_path / str(seed), seed) for seed in (1, 2, 3)]
    log(models[0])
    assert champion() is None
    filled = log(models[1], champion="fill")
    assert filled.is_champion and champion() == "2"
    assert filled.lines == ["Registry models:/hhmnet-toy/2, which is now the champion"]
    assert not log(models[2], champion="fill").is_champion and champion() == "2"
    assert log(models[2], champion="move").is_champion and champion() == "3"
    client.set_registered_model_alias("hhmnet-toy", CHAMPION, "1")  # by hand
    log(models[1], champion="fill")
    log(models[2])
    assert champion() == "1"


@pytest.mark.parametrize(
    "dataset", ["my:own/data", "it's", 'say "x"', "a?b#c@d", "x" * 300, "行动"]
)
def test_data_set_of_any_name_can_be_registered(client: MlflowClient, dataset: str) -> None:
    name = registered_name(dataset)
    client.create_registered_model(name)
    assert client.get_registered_model(name).name == name
    assert not set(name) & set("/:'\"?#@ ") and name != registered_name(f"{dataset}.")


def test_data_sets_share_no_registered_model() -> None:
    assert registered_name("nw_ucla") == "hhmnet-nw_ucla"
    assert registered_name("my:own") != registered_name("my-own") == "hhmnet-my-own"


def test_model_of_such_a_data_set_is_registered(
    client: MlflowClient, log: Callable[..., TrackedModel], tmp_path: Path
) -> None:
    tracked = log(write_random_model(tmp_path / "model", dataset="it's: mine"))
    name = registered_name("it's: mine")
    assert tracked.uri == f"models:/{name}/1"
    (registered,) = client.search_registered_models()
    assert registered.tags == {tags.DATASET: "it's: mine"}


def test_model_of_an_ensemble_is_logged_to_its_run(
    uri: str, client: MlflowClient, model: str
) -> None:
    run = DerivedRun("toy/cross-view", "toy-ensemble-1", {}, {}, {}, "", {})
    page = replace_derived_run(uri, run)
    tracked = log_derived_model(uri, run.experiment, run.name, model, "move")
    assert tracked == TrackedModel("models:/hhmnet-toy/1", is_champion=True)
    (logged,) = logged_models(client)
    assert str(logged.source_run_id) in page


def test_damaged_model_is_refused(log: Callable[..., TrackedModel], model: str) -> None:
    Path(model, "model.json").write_text("{}")
    with pytest.raises(InputError, match="is no model"):
        log(model)
