"""From a job to a run: its name, store, clips, guide and notes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from finished_runs import write_checkpoint
from made_stores import write_small_store, write_store

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.skeleton.augment import AugmentConfig
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.optim import OptimConfig
from hhmnet_platform.runs import resolve
from hhmnet_platform.runs.config import Phase1Job, Phase2Job
from hhmnet_platform.runs.launch import run_phase
from hhmnet_platform.runs.resolve import resolve_run, resolve_store
from hhmnet_platform.storage import run_folder
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.storage.workspace import Workspace
from hhmnet_platform.tracking import tags

Guide = Callable[..., RunFolder]
Job = Callable[..., Phase2Job]


def test_run_is_named_by_its_config_and_its_guide(
    store: Path, tmp_path: Path, guide: Guide, phase2_job: Job
) -> None:
    folder = guide(tmp_path)
    workspace = Workspace(str(tmp_path))
    run = resolve_run(phase2_job(), workspace, str(store))
    assert run.members == ("video", "fusion") and run.networks == ("video",)
    assert run.folder.name.startswith("films-phase2-")
    assert run.guide_checkpoint == f"{folder.uri}/epoch-00002"
    assert run.tracked.tags[tags.GUIDE] == "first"
    by_path = resolve_run(phase2_job(phase1=folder.uri), workspace, str(store))
    assert by_path.folder.name == run.folder.name
    write_checkpoint(folder, b"others")
    other = resolve_run(phase2_job(), workspace, str(store))
    assert other.folder.name != run.folder.name
    folder.sub("epoch-00002").remove("joint.safetensors")
    with pytest.raises(InputError, match="lacks the joint weights of epoch-00002"):
        resolve_run(phase2_job(), workspace, str(store))


def test_phase1_is_bound_to_skeletons_and_phase2_to_images_too(
    store: Path, tmp_path: Path, guide: Guide, phase2_job: Job
) -> None:
    clips = load_clips(store)
    manifest, unfilmed = clips.manifest, tmp_path / "unfilmed"
    write_store(
        unfilmed, [clips.clip(i) for i in range(len(clips))], dataset=manifest.dataset,
        layout=manifest.layout, class_names=manifest.class_names, protocols=manifest.protocols,
        source={},
    )  # fmt: skip
    workspace = Workspace(str(tmp_path))
    first, second = (
        resolve_run(Phase1Job(data=DataConfig(store=str(uri))), workspace, str(uri))
        for uri in (store, unfilmed)
    )
    assert first.folder.name == second.folder.name and first.guide_checkpoint == ""
    assert second.tracked.tags[tags.DATA_DIGEST] == clips.skeletons
    guide(tmp_path, of=unfilmed)  # guides phase 2 on the store with video
    run = resolve_run(phase2_job(), workspace, str(store))
    assert run.identity.values["data.digest"] == manifest.digest == run.tracked.digest


def test_copies_of_training_clips_are_noted(
    store: Path, tmp_path: Path, guide: Guide, phase2_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(str(tmp_path))
    job = Phase1Job(data=DataConfig(store=str(store)), workspace=str(tmp_path))
    assert resolve_run(job, workspace, str(store)).notes == ()
    monkeypatch.setattr(resolve, "copies_of_training", lambda clips, split: split.test[:2])
    run = resolve_run(job, workspace, str(store))
    (note,) = run.notes
    assert note.startswith(f"2 of {len(run.split.test)} test clips are copies")
    monkeypatch.setattr(resolve, "copies_of_training", lambda clips, split: split.test)
    guide(tmp_path)
    run = resolve_run(phase2_job(), workspace, str(store))
    scored = len(run.split.test)  # those with a video
    assert run.notes[0].startswith(f"{scored} of {scored} test clips are copies")
    assert run.notes[1].startswith(
        "clips without video, neither trained on nor scored: 4 of 12 val clips"
    )


def test_run_that_another_process_trains_is_not_claimed(
    store: Path, tmp_path: Path, guide: Guide, phase2_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "LOCK_SECONDS", 0.1)
    guide(tmp_path)
    job = phase2_job(name="mine", workspace=str(tmp_path))
    run = resolve_run(job, Workspace(str(tmp_path)), str(store))
    with run.folder.lock(), pytest.raises(InputError, match="being trained by another"):
        run_phase(job)
    assert run.folder.read_json("science.json") is None


def test_epochs_follow_the_training_clips_and_the_demo_has_its_own(tmp_path: Path) -> None:
    workspace, store = Workspace(str(tmp_path)), tmp_path / "s"
    write_small_store(store)

    def epochs(**job: object) -> int:
        return resolve_run(Phase1Job(**job), workspace, str(store)).config.optim.epochs  # type: ignore[arg-type]

    given = DataConfig(store=str(store))
    assert epochs(data=given) == 200
    assert epochs(data=given, optim=OptimConfig(epochs=5)) == 5
    assert epochs() == resolve.DEMO_EPOCHS
    assert epochs(optim=OptimConfig(epochs=5)) == 5


def test_given_store_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    job = Phase1Job(data=DataConfig(store="films"))
    with resolve_store(job, Workspace(str(tmp_path)), keep=True) as uri:
        assert uri == f"{tmp_path}/films"


def test_store_is_that_of_the_guide_where_none_is_given(tmp_path: Path, guide: Guide) -> None:
    workspace = Workspace(str(tmp_path))
    guide(tmp_path, tags={tags.STORE: "/data/there"})
    with resolve_store(Phase2Job(phase1="first"), workspace, keep=True) as uri:
        assert uri == "/data/there"
    with (
        pytest.raises(InputError, match=r"--phase1 is missing"),
        resolve_store(Phase2Job(), workspace, keep=True),
    ):
        pass


def test_password_of_a_store_or_a_server_connects_and_is_no_part_of_the_run(
    store: Path, tmp_path: Path
) -> None:
    shown, given = "memory://films-of-mine/store", "memory://me:secret@films-of-mine/store"
    for file in store.iterdir():
        for uri in (shown, given):
            folder(uri).write(file.name, file.read_bytes())
    servers = "http://host:5000", "http://me:secret@host:5000"
    plain, secret = (
        resolve_run(
            Phase1Job(data=DataConfig(store=uri), tracking_uri=server),
            Workspace(str(tmp_path)),
            uri,
        )
        for uri, server in zip((shown, given), servers, strict=True)
    )
    assert secret.folder == plain.folder and secret.identity.values == plain.identity.values
    assert (secret.config.data.store, secret.tracked.uri) == (given, servers[1])
    assert secret.tracked.tags[tags.STORE] == secret.tracked.store == shown
    assert replace(secret.tracked, uri="") == replace(plain.tracked, uri="")


def test_mirroring_needs_joints_that_name_a_side(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Phase1Job(augment=AugmentConfig(mirror=0.5))
    assert resolve_run(job, Workspace(str(tmp_path)), str(store))
    monkeypatch.setattr(Layout, "has_sides", False)
    message = r"augment\.mirror is 0\.5, but no joint of layout kinect_v1_20 names a side"
    with pytest.raises(InputError, match=message):
        resolve_run(job, Workspace(str(tmp_path)), str(store))


def test_bodies_of_other_sizes_are_noted_unless_they_are_made_alike(tmp_path: Path) -> None:
    write_small_store(tmp_path / "store")
    path = tmp_path / "store" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"size_ratio": 3.0}))
    workspace = Workspace(str(tmp_path))
    run = resolve_run(Phase1Job(), workspace, str(tmp_path / "store"))
    assert run.notes[-1].startswith("bodies differ in size by a factor of 3.0")
    alike = Phase1Job(data=DataConfig(normalise_size=True))
    assert not resolve_run(alike, workspace, str(tmp_path / "store")).notes
