"""Trials below an ablation's run: each one once, whatever has ended the commands before."""

from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from hhmnet_core.errors import InputError
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.child_runs import ChildRun, ChildRunWriter
from hhmnet_platform.tracking.derived_runs import DerivedRun, DerivedRunId, begin_derived_run

ABLATION = DerivedRun("toy/ablations", "mine", {tags.PHASE: "ablation"}, {}, {}, "A note.", {})
CHILDREN = [
    ChildRun(
        str(seed), f"all, seed {seed}", {tags.DATA_DIGEST: "d"}, {"seed": seed},
        {"test/top1": seed / 10}, 90.0,
    )
    for seed in range(3)
]  # fmt: skip


@pytest.fixture
def parent(uri: str) -> DerivedRunId:
    return begin_derived_run(uri, ABLATION)


def children(uri: str, parent: DerivedRunId) -> dict[str, Run]:
    """Return the runs below the ablation's by their keys."""
    client = MlflowClient(uri)
    found = client.search_runs(
        [parent.experiment_id], f"tags.`{tags.MLFLOW_PARENT}` = '{parent.run_id}'"
    )
    by_key = {run.data.tags[tags.TRIAL]: run for run in found}
    assert len(by_key) == len(found)
    return by_key


def test_trials_are_written_once(uri: str, parent: DerivedRunId) -> None:
    writer = ChildRunWriter(uri, "mine", parent)
    writer.write(CHILDREN[:1])
    writer.write(CHILDREN[:2])
    first = children(uri, parent)
    ChildRunWriter(uri, "mine", parent).write(CHILDREN)
    written = children(uri, parent)
    assert {*written} == {"0", "1", "2"}
    assert all(written[key].info.run_id == run.info.run_id for key, run in first.items())
    run = written["2"]
    assert (run.info.run_name, run.info.status) == ("all, seed 2", "FINISHED")
    assert (run.data.params, run.data.metrics) == ({"seed": "2"}, {"test/top1": 0.2})
    assert run.data.tags[tags.PHASE] == "ablation_trial"
    assert run.data.tags[tags.ABLATION] == "mine" and run.data.tags[tags.DATA_DIGEST] == "d"
    assert tags.MLFLOW_SOURCE in run.data.tags
    assert run.info.end_time - run.info.start_time == pytest.approx(90_000, abs=5_000)


def test_trial_that_a_kill_left_half_written_is_completed(uri: str, parent: DerivedRunId) -> None:
    client = MlflowClient(uri)
    own = {tags.ABLATION: "mine", tags.TRIAL: "1", tags.MLFLOW_PARENT: parent.run_id}
    begun = client.create_run(parent.experiment_id, tags=own)
    client.log_param(begun.info.run_id, "seed", 1)
    ChildRunWriter(uri, "mine", parent).write(CHILDREN[1:2])
    (run,) = children(uri, parent).values()
    assert (run.info.run_id, run.info.status) == (begun.info.run_id, "FINISHED")
    assert run.data.metrics == {"test/top1": 0.1}


def test_trials_of_an_ablation_that_was_deleted_are_listed_below_the_new_one(
    uri: str, parent: DerivedRunId
) -> None:
    ChildRunWriter(uri, "mine", parent).write(CHILDREN[:2])
    before = children(uri, parent)
    MlflowClient(uri).delete_run(parent.run_id)
    again = begin_derived_run(uri, ABLATION)
    ChildRunWriter(uri, "mine", again).write(CHILDREN)
    after = children(uri, again)
    assert again != parent and {*after} == {"0", "1", "2"}
    assert all(after[key].info.run_id == run.info.run_id for key, run in before.items())


def test_trials_of_other_ablations_are_left_alone(uri: str, parent: DerivedRunId) -> None:
    other = begin_derived_run(uri, replace(ABLATION, name="other"))
    ChildRunWriter(uri, "mine", parent).write(CHILDREN[:1])
    ChildRunWriter(uri, "other", other).write(CHILDREN[:1])
    assert {*children(uri, parent)} == {*children(uri, other)} == {"0"}


def test_mlflow_that_does_not_answer_is_named(tmp_path: Path) -> None:
    database = tmp_path / "damaged.db"
    database.write_text("no database" * 99)
    writer = ChildRunWriter(f"sqlite:///{database}", "mine", DerivedRunId("1", "a"))
    with pytest.raises(InputError, match=r"damaged\.db cannot be written to"):
        writer.write(CHILDREN)
