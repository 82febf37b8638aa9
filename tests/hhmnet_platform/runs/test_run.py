"""What a phase-2 job needs before anything starts, and what it says where that is missing."""

import json
from pathlib import Path
from typing import Any

import pytest
from video_files import film_store

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import DataConfig, StoreConfig
from hhmnet_core.store.reading import load_clips
from hhmnet_core.store.writing import write_store
from hhmnet_platform.runs import run as job_module
from hhmnet_platform.runs.config import Phase1Job, Phase2Job
from hhmnet_platform.runs.launch import run_phase
from hhmnet_platform.runs.run import prepare_run, store_of
from hhmnet_platform.storage.workspace import Workspace


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film_store(tmp_path_factory.mktemp("films"))


def phase1_run(workspace: Path, store: Path, **changes: Any) -> Path:
    """What a finished phase-1 run leaves of itself, as far as a job looks at it."""
    folder = workspace / "runs" / "first"
    (folder / "epoch-00002").mkdir(parents=True)
    (folder / "epoch-00002" / "joint.safetensors").write_bytes(b"weights")
    result = {
        "phase": "phase1",
        "digest": load_clips(store).skeletons,
        "protocol": "cross-view",
        "selection": "val",
        "checkpoint": "epoch-00002",
    }
    (folder / "result.json").write_text(json.dumps(result | changes))
    return folder


def job(store: Path, **changes: Any) -> Phase2Job:
    return Phase2Job(**{"data": StoreConfig(store=str(store)), "phase1": "first"} | changes)


def test_run_is_named_by_its_config_and_its_guide(store: Path, tmp_path: Path) -> None:
    folder = phase1_run(tmp_path, store)
    workspace = Workspace(str(tmp_path))
    run = prepare_run(job(store), workspace, str(store))
    assert run.members == ("video", "fusion") and run.folder.name.startswith("films-phase2-")
    assert run.guide_checkpoint == str(folder / "epoch-00002")
    by_path = prepare_run(job(store, phase1=str(folder)), workspace, str(store))
    assert by_path.folder.name == run.folder.name
    (folder / "epoch-00002" / "joint.safetensors").write_bytes(b"others")
    other = prepare_run(job(store), workspace, str(store))
    assert other.folder.name != run.folder.name
    (folder / "epoch-00002" / "joint.safetensors").unlink()
    with pytest.raises(InputError, match="has lost the joint weights of epoch-00002"):
        prepare_run(job(store), workspace, str(store))


def test_phase_1_is_bound_to_skeletons_and_phase_2_to_images_too(
    store: Path, tmp_path: Path
) -> None:
    clips = load_clips(store)
    manifest, dark = clips.manifest, tmp_path / "dark"
    write_store(
        dark, [clips.clip(i) for i in range(len(clips))], dataset=manifest.dataset,
        layout=manifest.layout, class_names=manifest.class_names, protocols=manifest.protocols,
        source={},
    )  # fmt: skip
    workspace = Workspace(str(tmp_path))
    filmed, unfilmed = (
        prepare_run(Phase1Job(data=DataConfig(store=str(place))), workspace, str(place))
        for place in (store, dark)
    )
    assert filmed.folder.name == unfilmed.folder.name
    assert unfilmed.tracked.tags["hhmnet.data_digest"] == clips.skeletons
    phase1_run(tmp_path, dark)  # guides phase 2 on the store with video
    run = prepare_run(job(store), workspace, str(store))
    assert run.science["data.digest"] == manifest.digest == run.tracked.digest


def test_copies_of_training_clips_are_told(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Phase1Job(data=DataConfig(store=str(store)), workspace=str(tmp_path))
    assert prepare_run(asked, Workspace(str(tmp_path)), str(store)).notes == ()
    monkeypatch.setattr(job_module, "copies_of_training", lambda clips, parts: parts.test[:2])
    run = prepare_run(asked, Workspace(str(tmp_path)), str(store))
    (note,) = run.notes
    assert note.startswith(f"2 of {len(run.parts.test)} test clips are copies")
    monkeypatch.setattr(job_module, "copies_of_training", lambda clips, parts: parts.test)
    phase1_run(tmp_path, store)
    run = prepare_run(job(store), Workspace(str(tmp_path)), str(store))
    scored = len(run.parts.test)  # those with a video
    assert run.notes[0].startswith(f"{scored} of {scored} test clips are copies")


def test_a_name_is_claimed_by_who_holds_the_run(store: Path, tmp_path: Path) -> None:
    phase1_run(tmp_path, store)
    asked = job(store, name="mine", workspace=str(tmp_path))
    run = prepare_run(asked, Workspace(str(tmp_path)), str(store))
    with run.folder.lock(), pytest.raises(InputError, match="being trained by another"):
        run_phase(asked)
    assert run.folder.read_json("science.json") is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"digest": "0" * 64}, "was trained on skeletons of digest 000000000000, but"),
        ({"protocol": "other"}, "was trained by protocol other, but cross-view is needed"),
        ({"selection": "literature"}, "was trained with selection literature, but val"),
        ({"phase": "phase2"}, "is a run of phase2, but phase1 is needed here"),
    ],
)
def test_run_that_cannot_guide_is_refused(
    store: Path, tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    phase1_run(tmp_path, store, **changes)
    with pytest.raises(InputError, match=said):
        prepare_run(job(store), Workspace(str(tmp_path)), str(store))


def test_missing_and_unfinished_runs_are_named(store: Path, tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    with pytest.raises(InputError, match="--phase1 is missing"):
        prepare_run(job(store, phase1=""), workspace, str(store))
    with pytest.raises(InputError, match=r"There is no phase-1 run at .*runs/first"):
        prepare_run(job(store), workspace, str(store))
    with pytest.raises(InputError, match=r"holds no run 0{32} of this platform"):
        prepare_run(job(store, phase1="0" * 32), workspace, str(store))
    folder = phase1_run(tmp_path, store)
    (folder / "result.json").unlink()
    with pytest.raises(InputError, match="is unfinished: start it again"):
        prepare_run(job(store), workspace, str(store))


def test_store_is_that_of_the_guide_where_none_is_given(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    run = tmp_path / "runs" / "guide"
    run.mkdir(parents=True)
    (run / "result.json").write_text(json.dumps({"tags": {"hhmnet.store": "/data/there"}}))
    with store_of(Phase2Job(phase1="guide"), workspace, keep=True) as store:
        assert store == "/data/there"
    with (
        pytest.raises(InputError, match=r"--phase1 is missing"),
        store_of(Phase2Job(), workspace, keep=True),
    ):
        pass
