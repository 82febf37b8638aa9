import json
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from tracked import tracked_run

from hhmnet_core.errors import InputError
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.derived_runs import (
    MAX_TAG_LENGTH,
    DerivedRun,
    begin_derived_run,
    check_can_track,
    end_derived_run,
    find_finished_page,
    finish_derived_run,
    kill_running_children,
    replace_derived_run,
)
from hhmnet_platform.tracking.queries import member_runs
from hhmnet_platform.tracking.run_writer import MlflowWriter
from hhmnet_platform.tracking.uri import run_page

ENSEMBLE = DerivedRun(
    experiment="toy/cross-view",
    name="toy-ensemble-1",
    tags={tags.PHASE: "ensemble"},
    params={"candidates": 4},
    metrics={"test/top1": 0.5},
    note="An ensemble.",
    files={"report/page.html": b"<html>"},
)


@pytest.fixture
def client(uri: str, folder: Path) -> MlflowClient:
    """Return a client of a database that has the experiment already, with its artifacts there."""
    made = MlflowClient(uri)
    made.create_experiment(ENSEMBLE.experiment, str(folder / "artifacts"))
    return made


def only_run(client: MlflowClient) -> Run:
    experiment = client.get_experiment_by_name(ENSEMBLE.experiment)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    return run


def test_run_of_the_same_name_is_replaced(uri: str, client: MlflowClient) -> None:
    first = replace_derived_run(uri, ENSEMBLE)
    better = replace(ENSEMBLE, params={"candidates": 5}, metrics={"test/top1": 0.75})
    page = replace_derived_run(uri, better)
    run = only_run(client)
    assert page == run_page(run.info.experiment_id, run.info.run_id) != first
    assert (run.info.run_name, run.info.status) == ("toy-ensemble-1", "FINISHED")
    assert run.data.params == {"candidates": "5"}
    assert run.data.metrics == {"test/top1": 0.75}
    assert run.data.tags[tags.PHASE] == "ensemble"
    assert run.data.tags[tags.DERIVED] == "toy-ensemble-1"
    assert run.data.tags[tags.MLFLOW_NOTE] == "An ensemble."
    (folder,) = client.list_artifacts(run.info.run_id)
    assert folder.path == "report"


def test_search_that_is_started_again_takes_up_its_run(uri: str, client: MlflowClient) -> None:
    begun = begin_derived_run(uri, ENSEMBLE)
    assert only_run(client).info.status == "RUNNING"
    assert find_finished_page(uri, ENSEMBLE.experiment, ENSEMBLE.name) is None
    finish_derived_run(uri, begun, replace(ENSEMBLE, note="x" * 6000))
    run = only_run(client)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"test/top1": 0.5})
    assert run.data.tags[tags.MLFLOW_NOTE] == "x" * MAX_TAG_LENGTH
    assert find_finished_page(uri, ENSEMBLE.experiment, ENSEMBLE.name) == begun.page
    assert begin_derived_run(uri, ENSEMBLE) == begun
    assert only_run(client).info.status == "RUNNING"


def test_run_has_its_tables_and_the_status_that_it_ended_with(
    uri: str, client: MlflowClient
) -> None:
    begun = begin_derived_run(uri, ENSEMBLE)
    end_derived_run(uri, begun, "KILLED")
    assert only_run(client).info.status == "KILLED"
    table = {"variant": ["all"], "pairs": [3]}
    finish_derived_run(uri, begun, replace(ENSEMBLE, tables={"pairs.json": table}), "FAILED")
    run = only_run(client)
    assert run.info.status == "FAILED" and "pairs.json" in run.data.tags[tags.MLFLOW_TABLES]
    loaded = mlflow_table(uri, run.info.run_id)
    assert loaded == {"columns": ["variant", "pairs"], "data": [["all", 3]]}


def mlflow_table(uri: str, run_id: str) -> object:
    return json.loads(Path(MlflowClient(uri).download_artifacts(run_id, "pairs.json")).read_text())


def test_search_that_was_deleted_gets_its_trials_back(
    uri: str, folder: Path, client: MlflowClient
) -> None:
    search = replace(ENSEMBLE, name="toy-search")
    first = begin_derived_run(uri, search)
    own_tags = {tags.PHASE: "phase1", tags.SEARCH: "toy-search"}
    trial = MlflowWriter(tracked_run(folder, "trial", tags=own_tags, parent=first.run_id))
    trial.connect()
    client.delete_run(first.run_id)
    second = begin_derived_run(uri, search)

    def parent(member: str) -> str:
        return client.get_run(trial.run_ids[member]).data.tags[tags.MLFLOW_PARENT]

    assert second != first and parent("fusion") == second.run_id
    assert parent("joint") == trial.run_ids["fusion"]


def test_experiment_in_the_trash_is_told_with_the_remedy(uri: str, client: MlflowClient) -> None:
    number = begin_derived_run(uri, ENSEMBLE).experiment_id
    client.delete_experiment(number)
    for call in (begin_derived_run, replace_derived_run):
        with pytest.raises(InputError, match=f"experiments restore --experiment-id {number}"):
            call(uri, ENSEMBLE)
    with pytest.raises(InputError, match=f"experiments restore --experiment-id {number}"):
        member_runs(uri, ENSEMBLE.experiment)


def test_new_experiment_gets_its_artifacts(uri: str, folder: Path) -> None:
    begun = begin_derived_run(uri, ENSEMBLE, str(folder / "artifacts"))
    experiment = MlflowClient(uri).get_experiment(begun.experiment_id)
    assert experiment.artifact_location == str(folder / "artifacts")


def test_nothing_is_found_without_the_experiment_or_the_run(uri: str, client: MlflowClient) -> None:
    assert find_finished_page(uri, "toy/other", ENSEMBLE.name) is None
    assert find_finished_page(uri, ENSEMBLE.experiment, "toy-ensemble-2") is None


def test_running_trials_and_their_children_are_killed(uri: str, folder: Path) -> None:
    search = begin_derived_run(uri, replace(ENSEMBLE, name="toy-search"))
    trials = []
    for name, parent in (("inside", search.run_id), ("elsewhere", "")):
        trials.append(MlflowWriter(tracked_run(folder, name, parent=parent)))
        trials[-1].connect()
    inside, elsewhere = trials
    client = MlflowClient(uri)
    client.set_terminated(inside.run_ids["joint"], "FINISHED")
    kill_running_children(uri, search)

    def statuses(writer: MlflowWriter) -> set[tuple[str, str]]:
        ids = writer.run_ids.items()
        return {(name, client.get_run(run_id).info.status) for name, run_id in ids}

    assert statuses(elsewhere) == {(name, "RUNNING") for name in elsewhere.run_ids}
    assert statuses(inside) == {
        (name, "FINISHED" if name == "joint" else "KILLED") for name in inside.run_ids
    }
    assert client.get_run(search.run_id).info.status == "RUNNING"


def test_tracking_that_does_not_answer_is_refused(uri: str, tmp_path: Path) -> None:
    check_can_track(uri)
    database = tmp_path / "damaged.db"
    database.write_text("no database" * 99)
    with pytest.raises(InputError, match=r"damaged\.db cannot be written to"):
        check_can_track(f"sqlite:///{database}")


def test_run_with_quotes_in_its_name_is_replaced(uri: str, client: MlflowClient) -> None:
    named = replace(ENSEMBLE, name='it\'s a "test"-ensemble-1')
    page = replace_derived_run(uri, named)
    assert find_finished_page(uri, named.experiment, named.name) == page
    assert replace_derived_run(uri, named) != page
    assert only_run(client).data.tags[tags.DERIVED] == named.name
