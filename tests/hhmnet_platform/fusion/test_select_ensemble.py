"""The selection job: what it refuses, and what it writes to MLflow."""

import json
from pathlib import Path

import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_platform.fusion import select_ensemble
from hhmnet_platform.fusion.candidates import Candidate, LeftOut
from hhmnet_platform.fusion.select_ensemble import EnsembleJob, run_ensemble
from hhmnet_platform.tracking.derived_runs import DerivedRun


@pytest.fixture
def tracked(candidates: list[Candidate], monkeypatch: pytest.MonkeyPatch) -> list[DerivedRun]:
    """MLflow holds the candidates; the runs that are written to it."""
    runs: list[DerivedRun] = []

    def write(uri: str, run: DerivedRun) -> str:
        runs.append(run)
        return "#/page"

    def find(uri: str, experiment: str, name: str) -> str | None:
        return "#/page" if any(run.name == name for run in runs) else None

    left_out = [LeftOut("old/joint", "is killed")]
    monkeypatch.setattr(select_ensemble, "candidates_of_mlflow", lambda *_: (candidates, left_out))
    monkeypatch.setattr(select_ensemble, "replace_derived_run", write)
    monkeypatch.setattr(select_ensemble, "find_finished_page", find)
    return runs


def test_ensemble_is_written_once(
    tracked: list[DerivedRun], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = EnsembleJob(experiment="data/xsub", workspace=str(tmp_path))
    run_ensemble(job)
    (run,) = tracked
    files = folder(tmp_path / "ensembles" / run.name)
    assert files.names() == ["ensemble.json", "report.html"]
    assert run.files["ensemble.json"] == files.read("ensemble.json")
    result = json.loads(run.files["ensemble.json"])
    assert run.metrics["test/top1"] == result["leaderboard"][0]["test_top1"]
    assert run.metrics["members"] == len(result["members"])
    assert run.params["selection.steps"] == 25 and run.params["candidates"] == 9
    assert json.loads(run.tags["hhmnet.members"]) == [m["run_id"] for m in result["members"]]
    assert f"[{result['members'][0]['run']}/" in run.note
    run_ensemble(job)
    assert len(tracked) == 1
    output = capsys.readouterr().out
    assert f"{run.name} exists already: nothing new was selected" in output
    assert "left out: old/joint is killed" in output


def test_missing_experiment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--experiment is missing"):
        run_ensemble(EnsembleJob(workspace=str(tmp_path)))


def test_untracked_runs_are_named_where_nothing_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise InputError("data/xsub holds no finished run.")

    untracked = [LeftOut("a", "is finished, but untracked"), LeftOut("b", "")]
    monkeypatch.setattr(select_ensemble, "candidates_of_mlflow", refuse)
    monkeypatch.setattr(select_ensemble, "untracked_runs", lambda *_: untracked)
    with pytest.raises(InputError, match=r"no finished run\. a is finished, but .* \(2 runs in al"):
        run_ensemble(EnsembleJob(experiment="data/xsub", workspace=str(tmp_path)))
