"""The folder of a run: claims, locks, checkpoints, and recovery after a crash."""

import hashlib
import json
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from failing_files import failing_reads
from finished_runs import RESULT

from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.checkpoints import CheckpointSummary
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.records import Progress
from hhmnet_platform.storage import run_folder
from hhmnet_platform.storage.checkpoints import TrainingPoint, checkpoint_name
from hhmnet_platform.storage.run_folder import SNAPSHOT, RunFolder
from hhmnet_platform.storage.run_identity import RunIdentity


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    return RunFolder("one", str(folder))


def test_name_of_another_config_is_refused(run: RunFolder) -> None:
    run.claim(RunIdentity(Phase1Config(), "digest"))
    run.claim(RunIdentity(Phase1Config(), "digest"))
    other = RunIdentity(Phase1Config(optim=OptimConfig(lr=0.2)), "digest")
    with pytest.raises(InputError, match=r"exists with another optim\.lr: give another --name"):
        run.claim(other)


def test_record_of_an_earlier_version_that_lacks_a_field_is_claimed(run: RunFolder) -> None:
    identity = RunIdentity(Phase1Config(), "digest")
    recorded = identity.values
    del recorded["augment.roll"]
    run.write_json("science.json", recorded)
    run.claim(identity)
    assert run.read_json("science.json") == recorded


def test_second_process_is_kept_off_a_run(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder, "LOCK_SECONDS", 0.1)
    with run.lock(), pytest.raises(InputError, match="being trained by another"), run.lock():
        pass
    with run.lock():
        pass


def write_snapshot(run: RunFolder, *epochs: int | TrainingPoint) -> None:
    points = [
        epoch if isinstance(epoch, TrainingPoint) else TrainingPoint(epoch) for epoch in epochs
    ]
    results = [{"checkpoint_dir_name": checkpoint_name(point)} for point in points]
    content = {"checkpoint_results": results, "latest_checkpoint_result": results[-1]}
    run.files.write(SNAPSHOT, json.dumps(content).encode())


def test_what_is_saved_is_the_newest_checkpoints(run: RunFolder) -> None:
    assert run.latest_point() == TrainingPoint()
    write_snapshot(run, 11, 12)
    assert run.latest_point() == TrainingPoint(12)
    write_snapshot(run, 12, TrainingPoint(12, 70))
    assert run.latest_point() == TrainingPoint(12, 70)


def save(run: RunFolder, epoch: int | TrainingPoint) -> None:
    place = run.sub(
        checkpoint_name(epoch if isinstance(epoch, TrainingPoint) else TrainingPoint(epoch))
    )
    files = {f"{m}.safetensors": safetensors.numpy.save({"w": np.zeros(3)}) for m in MODALITIES}
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    summary = CheckpointSummary("phase1", {}, "digest", Progress([]), checksums)
    for name, content in (files | {"state.json": summary.to_json().encode()}).items():
        place.write(name, content)


def start_after_recovery(run: RunFolder) -> str:
    recovery = run.recover()
    assert recovery
    return recovery.start_from


def test_recovery_leaves_a_sound_run_alone(run: RunFolder) -> None:
    assert run.recover() is None
    save(run, 1)
    write_snapshot(run, 1)
    assert run.recover() is None
    assert run.latest_point() == TrainingPoint(1)


@pytest.mark.parametrize("content", [b"", b'{"checkpoint_results": [{"checkp', b"[]"])
def test_recovery_finds_the_newest_checkpoint_where_the_note_is_torn(
    run: RunFolder, content: bytes
) -> None:
    save(run, 1)
    save(run, 2)
    run.files.write(SNAPSHOT, content)
    assert start_after_recovery(run) == "epoch-00002"
    assert run.latest_point() == TrainingPoint()  # Ray knows of none
    assert start_after_recovery(run) == "epoch-00002"  # killed again before Ray noted the next


def test_recovery_finds_the_newest_checkpoint_where_a_noted_one_is_gone(run: RunFolder) -> None:
    save(run, 1)
    write_snapshot(run, 1, 2)
    assert start_after_recovery(run) == "epoch-00001"


@pytest.mark.parametrize("missing", ["state.json", "bone.safetensors"])
def test_recovery_passes_over_a_checkpoint_that_is_not_whole(run: RunFolder, missing: str) -> None:
    save(run, 1)
    save(run, 2)
    run.sub("epoch-00002").remove(missing)
    assert start_after_recovery(run) == "epoch-00001"
    whole = run.sub("epoch-00001").read("bone.safetensors")
    run.sub("epoch-00001").write("bone.safetensors", whole[:-4])
    assert start_after_recovery(run) == ""


def test_recovery_goes_on_within_an_epoch(run: RunFolder) -> None:
    save(run, 1)
    save(run, TrainingPoint(1, 40))
    run.files.write(SNAPSHOT, b"torn")
    assert start_after_recovery(run) == "epoch-00001-step-0000040"


def test_tidy_leaves_what_is_noted_and_every_epoch(run: RunFolder) -> None:
    for point in (TrainingPoint(1, 40), TrainingPoint(1, 90), 2):
        save(run, point)
    write_snapshot(run, TrainingPoint(1, 90), 2)
    run.remove_unfinished_checkpoints()
    assert [name for name in run.files.names() if name.startswith("epoch-")] == [
        "epoch-00001-step-0000090",
        "epoch-00002",
    ]


def test_layouts_are_noted_where_they_change(run: RunFolder) -> None:
    assert run.meshes() == ()
    run.add_mesh(TrainingPoint(), 1, 2)
    run.add_mesh(TrainingPoint(1, 5), 1, 2)  # the same again, after a failure
    run.add_mesh(TrainingPoint(3), 1, 4)
    assert run.meshes() == ((0, 0, 1, 2), (3, 0, 1, 4))


@pytest.mark.parametrize("layouts", ["[1]", "[[0, 0, 1]]", '[["a", 0, 1, 2]]', "3"])
def test_meshes_that_are_none_are_named(run: RunFolder, layouts: str) -> None:
    run.files.write("layouts.json", f'{{"layouts": {layouts}}}'.encode())
    with pytest.raises(InputError, match=r"layouts\.json in .* cannot be read .*: delete"):
        run.meshes()


@pytest.mark.parametrize("latest", ["[1]", "null", '{"checkpoint_dir_name": "last"}'])
def test_a_list_of_checkpoints_that_names_none_is_a_new_start(run: RunFolder, latest: str) -> None:
    content = f'{{"latest_checkpoint_result": {latest}}}'.encode()
    run.files.write("checkpoint_manager_snapshot.json", content)
    assert run.latest_point() == TrainingPoint()


def test_recovery_turns_from_a_damaged_checkpoint_that_ray_would_resume(run: RunFolder) -> None:
    save(run, 1)
    save(run, 2)
    write_snapshot(run, 1, 2)
    run.sub("epoch-00002").write("bone.safetensors", b"damaged")
    assert start_after_recovery(run) == "epoch-00001"
    assert run.latest_point() == TrainingPoint()


def test_result_makes_a_run_finished(run: RunFolder) -> None:
    assert run.read_result() is None and run.missing_result == "does not exist"
    run.files.write("read.me", b"")
    assert run.missing_result == "is no run: it has neither science.json nor result.json"
    run.write_json("science.json", {})
    assert run.read_result() is None
    assert run.missing_result == "is unfinished: it has no result.json"
    run.write_result(RESULT)
    assert run.read_result() == RESULT and not run.is_tracked
    run.write_json("tracked.json", {"uri": "sqlite:///here", "page": "#"})
    assert run.is_tracked


def test_files_that_are_not_json_are_named(run: RunFolder) -> None:
    run.files.write("result.json", b"{")
    with pytest.raises(InputError, match=r"result\.json cannot be read .* delete that file"):
        run.read_result()
    for content in (b"{", b"[]", b"3", b"[1, 2]", b"[" * 100_000, b'{"a": 1, "a": 2}'):
        run.files.write("science.json", content)
        with pytest.raises(InputError, match=r"science\.json .* is not a JSON object"):
            run.read_json("science.json")


def test_config_is_written_as_yaml(run: RunFolder) -> None:
    run.write_config({"seed": 1, "data": {"store": "/data/films"}})
    assert run.files.read("config.yaml") == b"seed: 1\ndata:\n  store: /data/films\n"


@pytest.mark.parametrize("name", ["bone.safetensors", "state.json"])
def test_recovery_notices_a_single_byte_that_changed(run: RunFolder, name: str) -> None:
    save(run, 1)
    save(run, 2)
    write_snapshot(run, 1, 2)
    content = bytearray(run.sub("epoch-00002").read(name))
    position = content.index(b"digest") if name == "state.json" else -1
    content[position] ^= 1
    run.sub("epoch-00002").write(name, bytes(content))
    recovery = run.recover()
    assert recovery and recovery.start_from == "epoch-00001"
    assert re.search(rf"epoch-00002 is damaged: {name} does not match its", recovery.reason)


def test_recovery_deletes_nothing_where_a_file_cannot_be_read(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(run, 1)
    write_snapshot(run, 1)
    before = run.files.names()
    with failing_reads(monkeypatch, "bone.safetensors"):
        with pytest.raises(AccessError, match=r"Cannot read bone.safetensors .*Input/output error"):
            run.recover()
    with failing_reads(monkeypatch, SNAPSHOT), pytest.raises(AccessError):
        run.recover()
    assert run.files.names() == before
    assert run.recover() is None


def test_a_checkpoint_of_before_has_no_checksums(run: RunFolder) -> None:
    save(run, 1)
    assert not run.lacks_checksums("epoch-00001")
    old = {"phase": "phase1", "epoch": 0, "config": {}, "digest": "", "history": [], "part": None}
    run.sub("epoch-00001").write("state.json", json.dumps(old).encode())
    assert run.lacks_checksums("epoch-00001")
    run.files.write(SNAPSHOT, b"torn")
    assert start_after_recovery(run) == "epoch-00001"


def test_checkpoint_outside_of_the_run_is_not_looked_at(run: RunFolder) -> None:
    outside = {"checkpoint_dir_name": "../two/epoch-00001"}
    run.write_json(SNAPSHOT, {"checkpoint_results": [], "latest_checkpoint_result": outside})
    recovery = run.recover()
    assert recovery and recovery.reason == "checkpoint ../two/epoch-00001 is missing"


def test_files_hold_no_password(run: RunFolder) -> None:
    uri = "http://me:secret@host:5000"
    run.write_config({"tracking_uri": uri, "data": {"store": "s3://key:secret@bucket/films"}})
    run.write_json("tracked.json", {"uri": uri})
    assert run.read_json("tracked.json") == {"uri": "http://host:5000"}
    assert "secret" not in (Path(run.uri) / "config.yaml").read_text()


def test_trial_waits_for_another_of_equal_values(tmp_path: Path) -> None:
    run, order = RunFolder("mine", str(tmp_path / "mine")), list[str]()

    def first() -> None:
        with run.lock():
            held.set()
            time.sleep(0.5)
            order.append("first")

    held = threading.Event()
    thread = threading.Thread(target=first)
    thread.start()
    held.wait()
    with run.lock(waits=True):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
