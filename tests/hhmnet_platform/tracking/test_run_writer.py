import re
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from random_models import write_random_model
from tracked import FILES, MEMBERS, expected_losses, history, tracked_losses, tracked_run

from hhmnet_core.errors import InputError
from hhmnet_core.notices import StepProgress
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.members import COLOURS
from hhmnet_platform.storage.workspace import Workspace
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.artifacts import download
from hhmnet_platform.tracking.models import TrackedModel
from hhmnet_platform.tracking.run_writer import UNFINISHED, MlflowWriter, TimedSteps
from hhmnet_platform.tracking.tracked_run import Ending, TrackedRun


def connected(run: TrackedRun) -> MlflowWriter:
    writer = MlflowWriter(run)
    writer.connect()
    return writer


def held(writer: MlflowWriter, member: str) -> Run:
    return MlflowClient(writer.run.uri).get_run(writer.run_ids[member])


def test_writer_continues_after_a_restart_and_writes_nothing_twice(folder: Path) -> None:
    run = tracked_run(folder)
    first = connected(run)
    first.write(history(2))
    first.write(history(3))
    again = connected(run)
    assert again.run_ids == first.run_ids
    again.write(history(5, seconds=9.9))  # an epoch trained again takes another time
    assert tracked_losses(run) == expected_losses(5)


def test_writer_catches_up_with_more_than_one_request(folder: Path) -> None:
    run = tracked_run(folder)
    connected(run).write(history(600))
    assert tracked_losses(run) == expected_losses(600)


def test_metrics_are_timed_at_the_end_of_their_epoch(folder: Path) -> None:
    writer = connected(tracked_run(folder))
    writer.write(history(3, seconds=2.0))
    run = held(writer, "joint")
    points = MlflowClient(writer.run.uri).get_metric_history(run.info.run_id, "val/top1")
    started = run.info.start_time
    assert sorted(p.timestamp - started for p in points) == [2000, 4000, 6000]


def test_runs_hold_parent_params_tags_dataset_and_artifacts(folder: Path) -> None:
    writer = connected(tracked_run(folder))
    writer.write(history(1))
    writer.finish(Ending("FINISHED", FILES, {tags.MESH_HISTORY: "1 x 2"}))
    parent = held(writer, "fusion")
    assert parent.info.run_name == "toy-phase1-1"
    assert tags.MLFLOW_PARENT not in parent.data.tags
    assert tags.MLFLOW_COLOUR not in parent.data.tags  # MLflow's own tell runs apart
    for modality in MODALITIES:
        child = held(writer, modality)
        assert child.info.run_name == f"{modality} · toy-phase1-1"
        assert child.info.status == "FINISHED"
        assert child.data.tags[tags.MLFLOW_PARENT] == parent.info.run_id
        assert child.data.tags[tags.MLFLOW_COLOUR] == COLOURS[modality]
        assert child.data.tags[tags.DATA_DIGEST] == "d" * 64
        assert child.data.tags[tags.MESH_HISTORY] == "1 x 2"
        assert child.data.params["model.widths"] == "[1, 2]"
        contexts = [each.tags[0].value for each in child.inputs.dataset_inputs]
        assert sorted(contexts) == ["test", "train"]
        client = MlflowClient(writer.run.uri)
        assert {file.path for file in client.list_artifacts(child.info.run_id)} == {
            "figures",
            "note.txt",
        }


def test_model_is_logged_to_the_parent_alone(folder: Path, tmp_path: Path) -> None:
    model = write_random_model(tmp_path / "model")
    writer = connected(tracked_run(folder))
    writer.finish(Ending("FINISHED", FILES, model=model))
    assert writer.model == TrackedModel("models:/hhmnet-toy/1")
    again = connected(tracked_run(folder))
    again.finish(Ending("FINISHED", FILES, model=model))
    assert again.model == writer.model
    client = MlflowClient(writer.run.uri)
    (logged,) = client.search_logged_models([writer.experiment_id])
    assert logged.source_run_id == writer.run_ids["fusion"]
    assert not held(writer, "joint").outputs.model_outputs


def test_metrics_that_would_be_charts_of_one_point_stay_out(folder: Path) -> None:
    writer = connected(tracked_run(folder))
    metrics = {"best/val_top1": 0.5, "similarity/head/head": 0.1, "fitted/weight/joint": 0.2}
    writer.write([EpochRecord(1, 1.0, {"joint": metrics})])
    assert held(writer, "joint").data.metrics == {"best/val_top1": 0.5, "val/top1_best": 0.5}


def test_tables_are_logged_once_however_often_a_run_is_written(
    folder: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)  # where `load_table` looks for runs
    table = {"clip": ["a", "b"], "confidence": [0.9, 0.8]}
    for _ in range(2):
        writer = connected(tracked_run(folder))
        writer.finish(Ending("FINISHED", {}, tables={"joint": {"errors.json": table}}))
    client = MlflowClient(writer.run.uri)
    loaded = client.load_table(writer.experiment_id, "errors.json")  # finds it by its tag
    assert loaded.to_dict("list") == table


def test_note_of_a_finished_run_takes_the_place_of_the_first_one(folder: Path) -> None:
    writer = connected(tracked_run(folder))
    client = MlflowClient(writer.run.uri)
    assert held(writer, "bone").data.tags[tags.MLFLOW_NOTE] == UNFINISHED
    client.set_tag(writer.run_ids["joint"], tags.MLFLOW_NOTE, "my own words")
    writer.finish(Ending("FINISHED", {}, notes={"bone": "A table.", "joint": "A table."}))
    assert held(writer, "bone").data.tags[tags.MLFLOW_NOTE] == "A table."
    assert held(writer, "joint").data.tags[tags.MLFLOW_NOTE] == "my own words"


def test_params_of_the_end_are_written_to_the_parent_once(folder: Path) -> None:
    for weight in ("0.25", "0.30"):  # the second time they are chosen by a later version
        writer = connected(tracked_run(folder))
        writer.finish(Ending("FINISHED", {}, params={"fitted/weight/joint": weight}))
    assert held(writer, "fusion").data.params["fitted/weight/joint"] == "0.25"
    assert "fitted/weight/joint" not in held(writer, "joint").data.params


def test_children_of_a_deleted_parent_are_listed_under_the_new_one(folder: Path) -> None:
    first = connected(tracked_run(folder))
    MlflowClient(first.run.uri).delete_run(first.run_ids["fusion"])
    again = connected(tracked_run(folder))
    assert again.run_ids["fusion"] != first.run_ids["fusion"]
    assert again.run_ids["joint"] == first.run_ids["joint"]
    assert held(again, "joint").data.tags[tags.MLFLOW_PARENT] == again.run_ids["fusion"]


def test_trial_below_a_deleted_search_is_refused_with_the_remedy(folder: Path) -> None:
    search = connected(tracked_run(folder, "search"))
    number, client = search.run_ids["fusion"], MlflowClient(search.run.uri)
    trial = connected(tracked_run(folder, "trial", parent=number))
    client.delete_run(number)
    with pytest.raises(InputError, match=f"mlflow runs restore --run-id {number}"):
        connected(tracked_run(folder, "trial", parent=number))
    another = connected(tracked_run(folder, "another search")).run_ids["fusion"]
    moved = connected(tracked_run(folder, "trial", parent=another))
    assert moved.run_ids == trial.run_ids
    assert held(moved, "fusion").data.tags[tags.MLFLOW_PARENT] == another
    third = connected(tracked_run(folder, "third search")).run_ids["fusion"]
    kept = connected(tracked_run(folder, "trial", parent=third))  # two searches drew its values
    assert held(kept, "fusion").data.tags[tags.MLFLOW_PARENT] == another


def test_run_that_was_trained_by_itself_is_not_moved_below_a_search(folder: Path) -> None:
    connected(tracked_run(folder, "alone"))
    search = connected(tracked_run(folder, "search")).run_ids["fusion"]
    drawn = connected(tracked_run(folder, "alone", parent=search))
    assert tags.MLFLOW_PARENT not in held(drawn, "fusion").data.tags


def test_trial_has_the_command_of_its_search(folder: Path) -> None:
    typed = {tags.MLFLOW_SOURCE: "python search.py", tags.MLFLOW_SOURCE_TYPE: "JOB"}
    search = connected(tracked_run(folder, "search", tags=typed)).run_ids["fusion"]
    trial = connected(tracked_run(folder, "trial", parent=search))
    assert typed.items() <= held(trial, "joint").data.tags.items()


def test_experiment_in_the_trash_is_told_with_the_remedy(folder: Path) -> None:
    run = tracked_run(folder)
    number = connected(run).experiment_id
    client = MlflowClient(run.uri)
    client.delete_experiment(number)
    uri = re.escape(run.uri)
    remedy = f"MLFLOW_TRACKING_URI={uri} mlflow experiments restore --experiment-id {number}"
    with pytest.raises(InputError, match=remedy):
        connected(run)
    client.restore_experiment(number)
    connected(run)


def test_trial_is_listed_under_its_search_by_its_title(folder: Path) -> None:
    search = connected(tracked_run(folder, "search")).run_ids["fusion"]
    trial = connected(tracked_run(folder, "trial", parent=search, title="optim.lr 0.1"))
    parent = held(trial, "fusion")
    assert parent.info.run_name == "optim.lr 0.1"
    assert parent.data.tags[tags.MLFLOW_PARENT] == search
    assert tags.MLFLOW_COLOUR not in parent.data.tags  # MLflow's own tell trials apart
    child = held(trial, "bone")
    assert child.info.run_name == "bone · trial"
    assert child.data.tags[tags.MLFLOW_PARENT] == parent.info.run_id


def test_finished_run_that_is_continued_runs_again(folder: Path) -> None:
    for status in ("KILLED", "FINISHED"):
        writer = connected(tracked_run(folder))
        assert held(writer, "joint").info.status == "RUNNING"
        writer.finish(Ending(status, {}))
        assert held(writer, "joint").info.status == status


def test_name_of_a_run_with_other_params_is_refused(folder: Path) -> None:
    run = tracked_run(folder)
    connected(run)
    params = {**run.params, "optim.lr": 0.2, "added.later": 1}
    with pytest.raises(InputError, match=r"with another optim\.lr: delete that run there.*--name"):
        MlflowWriter(tracked_run(folder, params=params)).connect()


def test_more_params_than_one_request_takes(folder: Path) -> None:
    params = {f"param.{number}": number for number in range(130)}
    writer = connected(tracked_run(folder, params=params))
    assert len(held(writer, "joint").data.params) == 130


def test_of_two_runs_of_a_member_the_older_is_continued(folder: Path) -> None:
    run = tracked_run(folder)
    first = connected(run)
    client = MlflowClient(run.uri)
    for member in MEMBERS:
        client.create_run(
            first.experiment_id,
            tags={tags.RUN: run.name, tags.MODALITY: member},
            start_time=2**41,
        )
    assert connected(run).run_ids == first.run_ids


@pytest.mark.parametrize("name", ["q?x=1", "p%41 #ü'&"])
def test_workspace_of_any_name_holds_its_database_and_artifacts(
    tmp_path: Path, empty_database: Path, name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    workspace = Workspace(str(folder))
    uri, artifacts = workspace.tracking_uri(""), workspace.artifacts("")
    writer = MlflowWriter(tracked_run(folder, uri=uri, artifacts=artifacts))
    writer.connect()
    writer.finish(Ending("FINISHED", FILES))
    copy = download(uri, writer.run_ids["joint"], "note.txt", str(tmp_path))
    assert copy.read_bytes() == b"x"
    assert len(list(folder.glob("mlartifacts/*/artifacts/note.txt"))) == len(FILES)
    assert {path.name for path in tmp_path.iterdir()} == {name, "note.txt"}


@pytest.mark.parametrize("name", ["it's", 'say "x"', 'it\'s "x"', "a;b -- c", "100%"])
def test_run_with_any_name_is_found_again(folder: Path, name: str) -> None:
    first, second = (MlflowWriter(tracked_run(folder, name)) for _ in range(2))
    first.connect()
    second.connect()
    assert second.run_ids == first.run_ids


def test_steps_have_their_own_metrics_and_axis_and_are_written_once(folder: Path) -> None:
    def at(time: float, epoch: int, step: int) -> TimedSteps:
        return TimedSteps(time, StepProgress(epoch, step, 100, 1 / step, 50.0, 1.0))

    writer = connected(tracked_run(folder))
    writer.write(history(2))
    writer.write_steps([at(1.5, 1, 50), at(2.5, 2, 50)])
    again = connected(writer.run)
    again.write_steps([at(3.5, 2, 25), at(4.5, 2, 75)])  # resumed after a failure
    client, run = MlflowClient(writer.run.uri), writer.run_ids["fusion"]
    for name, values in {
        "progress/loss": [1 / 50, 1 / 50, 1 / 75],
        "progress/clips_per_second": [50.0] * 3,
    }.items():
        points = sorted(client.get_metric_history(run, name), key=lambda point: point.step)
        assert [(p.step, p.timestamp) for p in points] == [(50, 1500), (150, 2500), (175, 4500)]
        assert [p.value for p in points] == values
    assert tracked_losses(writer.run) == expected_losses(2)
    assert "progress/loss" not in held(writer, "joint").data.metrics
