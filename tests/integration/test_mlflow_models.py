"""Models in MLflow from the command line, from a server, and behind `mlflow models serve`."""

import json
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from processes import free_port, wait_until
from random_models import random_clips, write_random_model

from hhmnet_core.deploy.model import load_model
from hhmnet_core.store.reading import load_clips
from hhmnet_platform.tracking.client import open_for_writing
from hhmnet_platform.tracking.model_downloads import download_model
from hhmnet_platform.tracking.models import log_model

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
Start = Callable[..., Any]
Serve = Callable[..., AbstractContextManager[str]]

# All that a colleague needs: MLflow and the address.
LOAD = """
import json, sys
import mlflow

uri, address, clips = sys.argv[1:]
mlflow.set_tracking_uri(uri)
model = mlflow.pyfunc.load_model(address)
found = model.predict([{"joints": clip} for clip in json.load(open(clips))])
used = sys.modules["hhmnet_core"].__file__
print(json.dumps([used, [list(each["probabilities"].values()) for each in found]]))
"""


def load_elsewhere(folder: Path, uri: str, address: str, clips: list[Any]) -> tuple[str, Any]:
    """Load a model in a new process and an empty folder.

    Returns:
        The file of hhmnet_core that it used, and the probabilities of the clips.
    """
    folder.mkdir()
    (folder.parent / "clips.json").write_text(json.dumps([clip.tolist() for clip in clips]))
    arguments = ["-I", "-c", LOAD, uri, address, str(folder.parent / "clips.json")]
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    used, found = json.loads(done.stdout.splitlines()[-1])
    return used, found


def run_to_end(run_script: Start, script: str, *arguments: str) -> str:
    process = run_script(script, *arguments)
    assert process.finish(240) == 0, process.output
    return str(process.output)


@pytest.fixture
def workspace(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run and of MLflow's database, to write into."""
    shutil.copytree(finished / "runs", tmp_path / "runs")
    shutil.copy(finished / "mlflow.db", tmp_path / "mlflow.db")
    return tmp_path


def test_finished_run_can_be_loaded_by_its_address(
    finished: Path, data: Path, tmp_path: Path
) -> None:
    (run,) = (finished / "runs").iterdir()
    output = (finished / "output.txt").read_text()
    assert "Registry models:/hhmnet-films/1\n" in output
    assert not re.search("warning|pip requirements|Validating", output, re.IGNORECASE), output
    uri = f"sqlite:///{finished / 'mlflow.db'}"
    clips = load_clips(data)
    joints = [clips.clip(number).joints for number in range(6)]
    used, found = load_elsewhere(tmp_path / "empty", uri, "models:/hhmnet-films/1", joints)
    assert found == load_model(run / "model").predict(joints).tolist()
    assert used.startswith(str(finished / "mlartifacts"))  # the code that travels


@pytest.mark.slow
def test_champion_is_moved_by_a_new_selection_alone(
    run_script: Start, workspace: Path, tmp_path: Path
) -> None:
    client = MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")

    def registered() -> tuple[list[tuple[str, str]], str]:
        versions = client.search_model_versions("name = 'hhmnet-films'")
        held = sorted((str(each.version), each.tags["hhmnet.kind"]) for each in versions)
        return held, str(client.get_registered_model("hhmnet-films").aliases.get("champion", ""))

    (run,) = (folder.name for folder in (workspace / "runs").iterdir())
    fusion = (f"--workspace={workspace}", f"--runs=[{run}]", "--trials=1", "--evaluations=10")
    output = run_to_end(run_script, "search.py", "fusion", *fusion)
    assert "Registry models:/hhmnet-films/2\n" in output
    assert registered() == ([("1", "phase1"), ("2", "fusion")], "")
    ensemble = (f"--workspace={workspace}", "--experiment=films/cross-view")
    output = run_to_end(run_script, "ensemble.py", *ensemble)
    assert "Registry models:/hhmnet-films/3, which is now the champion\n" in output
    whole = [("1", "phase1"), ("2", "fusion"), ("3", "ensemble")]
    assert registered() == (whole, "3")
    client.set_registered_model_alias("hhmnet-films", "champion", "1")  # by hand
    output = run_to_end(run_script, "ensemble.py", *ensemble)
    assert "nothing new was selected" in output and "Registry models:/hhmnet-films/3\n" in output
    run_to_end(run_script, "search.py", "fusion", *fusion)
    assert registered() == (whole, "1")
    number = client.get_experiment_by_name("films/cross-view").experiment_id
    assert len(client.search_logged_models([number])) == 3


def test_complete_run_is_logged_once(
    finished: Path, workspace: Path, phase1: Start, tmp_path: Path
) -> None:
    client = MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")
    for folder in (workspace / "runs").iterdir():
        tracked = json.loads((folder / "tracked.json").read_text())
        tracked.pop("model")  # as a trial of a search leaves it
        (folder / "tracked.json").write_text(json.dumps(tracked))
    for _ in range(2):
        process = phase1(workspace)
        assert process.finish() == 0, process.output
        assert "is complete" in process.output
        assert "Registry models:/hhmnet-films/1\n" in process.output
    assert [str(each.version) for each in client.search_model_versions()] == ["1"]
    number = client.get_experiment_by_name("films/cross-view").experiment_id
    assert len(client.search_logged_models([number])) == 1


def test_model_of_a_server_is_logged_downloaded_and_loaded(
    mlflow_server: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HHMNET_CACHE", str(tmp_path / "cache"))
    model = write_random_model(tmp_path / "model", dataset="it's: mine")
    clips = random_clips()
    expected = load_model(model).predict(clips)
    with mlflow_server(tmp_path / "server.db") as uri:
        with open_for_writing(uri) as client:
            experiment = client.create_experiment("toy/cross-view")
            run_id = client.create_run(experiment).info.run_id
            tracked = log_model(client, experiment, run_id, model, "move")
            assert log_model(client, experiment, run_id, model).uri == tracked.uri
        assert tracked.note == ""
        name = tracked.uri.split("/")[1]
        for address in (tracked.uri, f"models:/{name}@champion", f"runs:/{run_id}/model"):
            found = load_model(download_model(uri, address)).predict(clips)
            np.testing.assert_array_equal(found, expected)
        used, probabilities = load_elsewhere(tmp_path / "empty", uri, tracked.uri, clips)
        assert probabilities == expected.tolist()
        assert used.endswith("/code/hhmnet_core/__init__.py")  # the code that travels


@pytest.mark.slow
def test_served_model_answers_json_with_the_same_numbers(
    start: Start, executable: Callable[[str], str], tmp_path: Path
) -> None:
    model = write_random_model(tmp_path / "model")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with open_for_writing(uri) as client:
        experiment = client.create_experiment("toy", str(tmp_path / "mlartifacts"))
        log_model(client, experiment, client.create_run(experiment).info.run_id, model)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [executable("mlflow"), "models", "serve", "--model-uri=models:/hhmnet-toy/1"]
    server = start(
        *command, "--env-manager=local", "--host=127.0.0.1", f"--port={port}",
        env={
            "MLFLOW_TRACKING_URI": uri,
            "PATH": f"{Path(executable('mlflow')).parent}:/usr/bin:/bin",
            "PYTHONPATH": "",
        },
    )  # fmt: skip

    def post(request: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        body = json.dumps(request).encode()
        sent = urllib.request.Request(f"{address}/invocations", body, headers)
        with urllib.request.urlopen(sent, timeout=60) as response:
            return json.load(response)["predictions"]

    def is_up() -> bool:
        try:
            with urllib.request.urlopen(f"{address}/ping", timeout=5):
                return True
        except OSError:
            assert server.returncode is None, server.output
            return False

    try:
        wait_until(is_up, "mlflow models serve", 120)
        clips = random_clips()
        expected = load_model(model).predict(clips).tolist()
        rows = [{"joints": clip.tolist()} for clip in clips]
        for request in ({"dataframe_records": rows}, {"inputs": rows}):
            found = post(request)
            assert [list(each["probabilities"].values()) for each in found] == expected
            assert [each["confidence"] for each in found] == [max(each) for each in expected]
            assert all(each["unsure"] is (each["confidence"] < 0.5) for each in found)
        with pytest.raises(urllib.error.HTTPError) as refused:
            post({"dataframe_records": [{"joints": [[[1, 2, 3]]]}]})
        assert refused.value.code == 400 and b"Clip 0 has 1 joints" in refused.value.read()
    finally:
        server.stop()
