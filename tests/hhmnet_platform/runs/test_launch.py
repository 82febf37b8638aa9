"""Launching: what is refused or shown before Ray starts, and the tags of a mesh."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from finished_runs import write_finished_run

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.cluster.mesh_plan import MeshPlan, make_plan
from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.members import FUSION, MEMBERS
from hhmnet_platform.runs.config import Phase1Job
from hhmnet_platform.runs.launch import mesh_tags, run_max_data_parallel, run_phase, train_run
from hhmnet_platform.runs.resolve import resolve_run
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.storage.workspace import Workspace


@pytest.fixture
def finished(store: Path, tmp_path: Path) -> tuple[Phase1Job, RunFolder]:
    """A job whose run is finished and tracked."""
    job = Phase1Job(data=DataConfig(store=str(store)), workspace=str(tmp_path))
    run = resolve_run(job, Workspace(str(tmp_path)), str(store))
    folder = write_finished_run(tmp_path, run.folder.name)
    folder.write_json("tracked.json", {"uri": run.tracked.uri, "page": "#/experiments/1/runs"})
    return job, folder


def test_finished_run_is_shown_and_not_trained(
    finished: tuple[Phase1Job, RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    job, folder = finished
    assert run_phase(job) == folder.name
    output = capsys.readouterr().out
    assert f"Run {folder.name} is complete" in output and "62.5%" in output
    assert "http://127.0.0.1:5000/#/experiments/1/runs?compareRunsMode=CHART" in output


def test_history_of_a_finished_trial_is_replayed(
    finished: tuple[Phase1Job, RunFolder], store: Path, tmp_path: Path
) -> None:
    job, _ = finished
    run = resolve_run(job, Workspace(str(tmp_path)), str(store))
    records: list[EpochRecord] = []
    train_run(job, run, MeshPlan((1,), None, False, 1), records.append)
    assert [record.epoch for record in records] == [1, 2]


def test_name_of_another_run_is_refused_before_ray_starts(store: Path, tmp_path: Path) -> None:
    job = Phase1Job(data=DataConfig(store=str(store)), workspace=str(tmp_path), name="mine")
    run = resolve_run(job, Workspace(str(tmp_path)), str(store))
    run.folder.write_json("science.json", run.identity.values | {"seed": 9})
    with pytest.raises(InputError, match="Run mine exists with another seed: give another --name"):
        run_phase(job)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "../escaped"}, "cannot be used"),
        ({"workers": 999}, "do not fit"),
        ({"tracking_uri": "localhost:5000"}, "cannot track at localhost:5000"),
        ({"max_failures": -1}, "max_failures must be 0 to"),
    ],
)
def test_mistakes_are_refused_before_the_store_is_read(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run_phase(Phase1Job(workspace=str(tmp_path / "workspace"), **changes))
    assert not (tmp_path / "workspace").exists()


def test_dry_run_prints_the_plan_and_writes_nothing(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = tmp_path / "workspace"
    job = Phase1Job(data=DataConfig(store=str(store)), workspace=str(workspace), dry_run=True)
    name = run_phase(job)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"run         {name}" and name.startswith("films-phase1-")
    heads = [line.split(maxsplit=1)[0] for line in lines]
    assert heads[1:6] == ["data", "clips", "input", "nodes", "mesh"]
    assert lines[1] == "data        films, protocol cross-view, selection val"
    assert {"parameters", "time"} <= set(heads)
    assert not workspace.exists()


def test_largest_batch_split_is_that_of_the_phase(
    store: Path, tmp_path: Path, guide: Callable[..., RunFolder], phase2_job: Callable[..., Any]
) -> None:
    workspace = Workspace(str(tmp_path))
    guide(tmp_path)
    first = resolve_run(Phase1Job(data=DataConfig(store=str(store))), workspace, str(store))
    second = resolve_run(phase2_job(), workspace, str(store))
    assert run_max_data_parallel(first) == 12  # 24 clips in 2 batches
    assert run_max_data_parallel(second) == len(second.split.train) // 2 == 12
    assert second.members == MEMBERS["phase2"] and FUSION in first.members


def test_tags_of_a_mesh_have_its_range() -> None:
    gpus = Resources("the cluster", ((16, 4), (16, 4)))
    assert mesh_tags(make_plan(gpus, workers="2:8")) == {
        "hhmnet.workers": "2:8",
        "hhmnet.modality_parallel": "4, 2 or 1",
        "hhmnet.device": "cuda",
    }
    laptop = mesh_tags(make_plan(Resources("this machine", ((2, 0),))))
    assert (laptop["hhmnet.workers"], laptop["hhmnet.modality_parallel"]) == ("2", "2")
    assert laptop["hhmnet.device"] == "cpu"
