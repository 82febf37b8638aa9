"""Candidates: networks of a workspace or of MLflow whose scores belong together."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finished_runs import write_finished_run

from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.fusion.align import keep_shared_clips
from hhmnet_core.fusion.scores import ScoreTable, write_scores
from hhmnet_core.fusion.selection import SelectionConfig
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.fusion import candidates as module
from hhmnet_platform.fusion.candidates import (
    Candidate,
    candidates_of_mlflow,
    candidates_of_workspace,
    on_shared_clips,
    untracked_runs,
)
from hhmnet_platform.fusion.ensemble import make_ensemble
from hhmnet_platform.storage.scores import scores_file
from hhmnet_platform.storage.workspace import Workspace
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.queries import MemberRun


def scores(split: str, digest: str = "d" * 64, clips: int = 6) -> ScoreTable:
    logits = np.random.default_rng(clips).normal(size=(clips, 2)).astype(np.float32)
    ids = tuple(f"{split}{number}" for number in range(clips))
    labels = np.arange(clips) % 2
    return ScoreTable(ids, labels, logits, "run", "joint", split, digest, ("a", "b"))


def test_networks_of_a_workspace_are_those_its_runs_trained(tmp_path: Path) -> None:
    first = write_finished_run(tmp_path, "first")
    second = write_finished_run(tmp_path, "second", phase="phase2", tags={tags.GUIDE: "first"})
    for run, members in ((first, MODALITIES), (second, ("video",))):
        for member in members:
            for split in ("val", "test"):
                table = replace(scores(split), modality=member)
                write_scores(table, f"{run.uri}/{scores_file(member, split)}")
    found = candidates_of_workspace(Workspace(str(tmp_path)), ["first", "second"])
    assert [each.name for each in found] == [*(f"first/{m}" for m in MODALITIES), "second/video"]
    assert found[-1].guide == "first" and found[-1].phase == "phase2"
    assert found[0].scores("val").split == "val" and found[0].scores("test").split == "test"


def test_run_without_a_validation_split_is_refused(tmp_path: Path) -> None:
    write_finished_run(tmp_path, "whole", selection="literature")
    with pytest.raises(InputError, match=r"whole has no validation split \(selection literature\)"):
        candidates_of_workspace(Workspace(str(tmp_path)), ["whole"])


def test_finished_runs_that_mlflow_lacks_are_named(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    held = write_finished_run(tmp_path, "held")
    held.write_json("tracked.json", {"page": ""})
    write_finished_run(tmp_path, "lacking")
    write_finished_run(tmp_path, "of-another-protocol", protocol="xview")
    write_finished_run(tmp_path, "without-validation", selection="literature")
    workspace.run("unfinished").write_json("science.json", {})
    (tmp_path / "runs" / ".DS_Store").write_bytes(b"\0")
    (tmp_path / "runs" / "damaged").mkdir()
    (tmp_path / "runs" / "damaged" / "result.json").write_text('{"dataset": ')
    workspace.run("of-others").write_json("result.json", {"accuracy": 1})
    (lacking,) = untracked_runs(workspace, "films/cross-view")
    assert lacking.name == "lacking"
    assert lacking.reason.startswith(f"is finished in {tmp_path}, but MLflow does not hold all")
    assert not untracked_runs(Workspace(str(tmp_path / "nowhere")), "films/cross-view")


def test_clips_without_video_are_left_out_of_all(
    candidates: list[Candidate], config: SelectionConfig
) -> None:
    video = candidates[-1]
    few = [
        replace(table, sample_ids=table.sample_ids[:190], labels=table.labels[:190],
                logits=table.logits[:190], subjects=np.arange(190))
        for table in (video.val, video.test)
    ]  # fmt: skip
    filmed = replace(video, val=few[0], test=few[1])
    kept, left_out = on_shared_clips([*candidates[:-1], filmed])
    assert {len(each.val) for each in kept} == {len(each.test) for each in kept} == {190}
    assert [(each.name, each.reason) for each in left_out] == [
        ("10 of 200 clips of val and 10 of 200 clips of test",
         "have no video, which some networks need")
    ]  # fmt: skip
    assert make_ensemble(kept, left_out, config).leaderboard[0].test_top1 > 0.5
    skeletons, nothing = on_shared_clips(candidates[:-1])
    assert skeletons == candidates[:-1] and not nothing
    lost = replace(candidates[0], val=keep_shared_clips([candidates[0].val, few[0]])[0])
    with pytest.raises(InputError, match="differ in 10 sample ids"):  # skeletons have all clips
        make_ensemble(on_shared_clips([lost, *candidates[1:-1]])[0], [], config)


Mlflow = Callable[..., None]


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mlflow:
    """`mlflow((member run, tables by split), ...)`: what MLflow holds, the newest first."""

    def hold(*runs: tuple[MemberRun, dict[str, ScoreTable] | None]) -> None:
        tables = {run.run_id: by_split for run, by_split in runs}

        def download(uri: str, run_id: str, path: str, folder: str) -> Path:
            by_split = tables[run_id]
            if by_split is None:
                raise OSError("no such artifact")
            for split, table in by_split.items():
                write_scores(table, f"{folder}/{path}/{split}.parquet")
            return Path(folder, path)

        monkeypatch.setattr(module, "member_runs", lambda *_: [run for run, _ in runs])
        monkeypatch.setattr(module, "download", download)
        monkeypatch.setattr(module, "holds_artifact", lambda uri, run_id, path: False)

    return hold


def member_run(name: str, member: str = "joint", **changes: Any) -> MemberRun:
    settings: dict[str, Any] = {
        "run_id": f"{name}-{member}", "page": f"#/runs/{name}", "status": "FINISHED", "run": name,
        "member": member, "phase": "phase1", "dataset": "films", "selection": "val", "guide": "",
    }  # fmt: skip
    return MemberRun(**settings | changes)


BOTH = {"val": scores("val"), "test": scores("test")}


def test_runs_that_cannot_be_fused_are_left_out_with_the_reason(mlflow: Mlflow) -> None:
    other_data = {split: scores(split, digest="e" * 64) for split in BOTH}
    mlflow(
        (member_run("new", "bone"), BOTH),
        (member_run("new"), BOTH),
        (member_run("running", status="RUNNING"), BOTH),
        (member_run("whole", selection="literature"), BOTH),
        (member_run("lost"), None),
        (member_run("other"), other_data),
        (member_run("fewer"), {split: scores(split, clips=4) for split in BOTH}),
        (member_run("cut"), {"val": BOTH["val"]}),
    )
    found, left_out = candidates_of_mlflow("uri", "films/xsub")
    assert [each.name for each in found] == ["new/joint", "new/bone"]  # by run, then by member
    assert found[0].page == "#/runs/new" and found[0].run_id == "new-joint"
    reasons = {each.name: each.reason for each in left_out}
    assert reasons["running/joint"] == "is running"
    assert reasons["whole/joint"] == "has no validation split (selection literature)"
    assert reasons["lost/joint"] == "has no score tables"
    assert reasons["other/joint"] == f"uses other data (digest {'e' * 12})"
    assert reasons["fewer/joint"].startswith("cannot be fused with the others (")
    assert reasons["cut/joint"].startswith("has no usable score table (")


@pytest.mark.parametrize("is_there", [True, False])
def test_scores_that_cannot_be_read_at_present_stop_the_selection(
    is_there: bool, mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow((member_run("new"), BOTH), (member_run("away"), None))
    monkeypatch.setattr(module, "holds_artifact", lambda *_: is_there)
    if is_there:
        with pytest.raises(AccessError, match="scores of away/joint cannot be read from MLflow"):
            candidates_of_mlflow("uri", "films/cross-view")
    else:
        found, left_out = candidates_of_mlflow("uri", "films/cross-view")
        assert [each.name for each in found] == ["new/joint"]
        assert [each.reason for each in left_out] == ["has no score tables"]


def test_video_network_may_have_fewer_clips(mlflow: Mlflow) -> None:
    few = {split: scores(split, clips=4) for split in BOTH}
    for split, table in few.items():
        few[split] = replace(table, logits=BOTH[split].logits[:4])
    mlflow((member_run("v", "video", phase="phase2", guide="new"), few), (member_run("new"), BOTH))
    found, left_out = candidates_of_mlflow("uri", "films/xsub")
    assert {each.name: len(each.test) for each in found} == {"new/joint": 4, "v/video": 4}
    assert [each.name for each in left_out] == ["2 of 6 clips of val and 2 of 6 clips of test"]


def test_several_data_sets_and_nothing_to_select_from_are_refused(mlflow: Mlflow) -> None:
    mlflow((member_run("a"), BOTH), (member_run("b", dataset="other"), BOTH))
    with pytest.raises(InputError, match=r"of several data sets \(films, other\): narrow --filter"):
        candidates_of_mlflow("uri", "films/xsub")
    mlflow((member_run("a", status="KILLED"), BOTH), (member_run("b", status="KILLED"), BOTH))
    with pytest.raises(InputError, match=r"to select from \(2 is killed\): train some with"):
        candidates_of_mlflow("uri", "films/xsub")
    mlflow()
    with pytest.raises(InputError, match=r"that matches --filter 'x' .*\(no runs found\)"):
        candidates_of_mlflow("uri", "films/xsub", "x")
