from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.store.entities import PagedList
from tracked import tracked_run

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.queries import member_runs, run_name_of
from hhmnet_platform.tracking.run_writer import MlflowWriter
from hhmnet_platform.tracking.tracked_run import Ending, TrackedRun
from hhmnet_platform.tracking.uri import run_page

EXPERIMENT = "toy/cross-view"


def track(run: TrackedRun, status: str) -> MlflowWriter:
    writer = MlflowWriter(run)
    writer.connect()
    writer.finish(Ending(status, {}))
    return writer


def test_trained_members_of_all_runs_are_found_the_newest_first(uri: str, folder: Path) -> None:
    first = track(tracked_run(folder, "first"), "FINISHED")
    own_tags = {
        tags.PHASE: "phase2",
        tags.DATASET: "toy",
        tags.SELECTION: "literature",
        tags.GUIDE: "first",
    }
    members = ("video", "fusion")
    second = track(tracked_run(folder, "second", members=members, tags=own_tags), "KILLED")
    MlflowClient(uri).create_run(first.experiment_id, tags={tags.PHASE: "ensemble"})
    MlflowClient(uri).create_run(first.experiment_id)  # somebody else's

    found = member_runs(uri, EXPERIMENT)
    video, *skeletons = found
    assert (video.run, video.member, video.status) == ("second", "video", "KILLED")
    assert (video.phase, video.selection, video.guide) == ("phase2", "literature", "first")
    assert video.run_id == second.run_ids["video"]
    assert video.page == run_page(second.experiment_id, video.run_id)
    assert {each.run_id for each in skeletons} == {first.run_ids[name] for name in MODALITIES}
    assert {(each.status, each.dataset, each.guide) for each in skeletons} == {
        ("FINISHED", "toy", "")
    }
    assert len(member_runs(uri, EXPERIMENT, f"tags.`{tags.RUN}` = 'first'")) == len(MODALITIES)


def test_every_page_of_a_search_is_read(
    uri: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    track(tracked_run(folder), "FINISHED")
    search_runs = MlflowClient.search_runs

    def by_twos(
        self: MlflowClient,
        experiments: list[str],
        filter_string: str,
        page_token: str | None,
        order_by: list[str],
    ) -> PagedList[Run]:
        return search_runs(
            self, experiments, filter_string, max_results=2, page_token=page_token,
            order_by=order_by,
        )  # fmt: skip

    monkeypatch.setattr(MlflowClient, "search_runs", by_twos)
    assert {each.member for each in member_runs(uri, EXPERIMENT)} == set(MODALITIES)


def test_missing_experiments_and_databases_are_named(uri: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no experiment 'other'; it has none"):
        member_runs(uri, "other")
    MlflowClient(uri).create_experiment(EXPERIMENT)
    with pytest.raises(InputError, match=f"has no experiment 'other'; it has {EXPERIMENT}"):
        member_runs(uri, "other")
    nowhere = tmp_path / "nowhere.db"
    with pytest.raises(InputError, match=f"There is no {nowhere}: nothing has been tracked there"):
        member_runs(f"sqlite:///{nowhere}", EXPERIMENT)
    assert not nowhere.exists()


def test_filter_that_mlflow_does_not_take_is_an_input_error(uri: str) -> None:
    MlflowClient(uri).create_experiment(EXPERIMENT)
    with pytest.raises(InputError, match="cannot answer"):
        member_runs(uri, EXPERIMENT, "seed >")


def test_name_of_the_run_that_an_mlflow_run_belongs_to(uri: str, folder: Path) -> None:
    writer = track(tracked_run(folder), "FINISHED")
    for run_id in writer.run_ids.values():
        assert run_name_of(uri, run_id) == "toy-phase1-1"
    other = MlflowClient(uri).create_run(writer.experiment_id).info.run_id
    for run_id in (other, "0" * 32):
        with pytest.raises(InputError, match=f"holds no run {run_id} of this platform"):
            run_name_of(uri, run_id)


def test_server_that_does_not_answer_is_not_taken_for_one_without_the_run(free_port: int) -> None:
    with pytest.raises(InputError, match=r"MLflow at http://127\.0\.0\.1:\d+ cannot answer"):
        run_name_of(f"http://127.0.0.1:{free_port}", "0" * 32)


def test_name_of_a_run_that_leads_to_another_folder_is_refused(uri: str, folder: Path) -> None:
    writer = track(tracked_run(folder, "../../elsewhere"), "FINISHED")
    with pytest.raises(InputError, match=r"run name .* cannot be used"):
        run_name_of(uri, writer.run_ids["joint"])
