import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.ensemble_job import EnsembleJob
from hhmnet_platform.fusion_search import FusionSearch
from hhmnet_platform.job import Phase1Job, Phase2Job
from hhmnet_platform.pipeline import Pipeline
from hhmnet_platform.points import Point, checkpoint_name, point_of
from hhmnet_platform.scripts import given
from hhmnet_platform.search_job import Phase1Search
from hhmnet_platform.workspace import (
    SNAPSHOT,
    TRACKING_SCHEMES,
    RunFolder,
    Workspace,
    absolute,
    check_name,
    flat,
    run_name,
)


@dataclass
class Inner:
    rate: float = 0.5
    branches: tuple[tuple[int, int], ...] = ((3, 1), (5, 2))


@dataclass
class Outer:
    inner: Inner = field(default_factory=Inner)
    seed: int = 1


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    return Workspace(str(tmp_path)).run("one")


def test_flat_names_plain_values() -> None:
    assert flat(Outer()) == {"inner.rate": 0.5, "inner.branches": [[3, 1], [5, 2]], "seed": 1}


def test_run_name_follows_from_the_science_alone() -> None:
    science = flat(Outer())
    name = run_name("nw_ucla", "phase1", science)
    assert name.startswith("nw_ucla-phase1-") and len(name) == len("nw_ucla-phase1-") + 8
    assert run_name("nw_ucla", "phase1", dict(reversed(science.items()))) == name
    assert run_name("nw_ucla", "phase1", {**science, "seed": 2}) != name


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "x" * 101, "ä"])
def test_name_that_cannot_be_a_folder_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        check_name(name)


def test_absolute_leaves_remote_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("workspace") == str(tmp_path / "workspace")
    assert absolute("memory://bucket/workspace/") == "memory://bucket/workspace"


@pytest.mark.parametrize(
    "kind", [Phase1Job, Phase2Job, Pipeline, Phase1Search, FusionSearch, EnsembleJob]
)
def test_environment_says_where_everything_goes(
    kind: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = given("job", None, kind, [])
    assert (job.workspace, job.tracking_uri) == ("workspace", "")
    monkeypatch.setenv("HHMNET_WORKSPACE", "s3://bucket/hhmnet")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    job = given("job", None, kind, [])
    assert (job.workspace, job.tracking_uri) == ("s3://bucket/hhmnet", "http://127.0.0.1:5000")
    job = given("job", None, kind, ["--workspace=here", "--tracking_uri="])
    assert (job.workspace, job.tracking_uri) == ("here", "")


def test_remote_workspace_needs_a_tracking_server() -> None:
    workspace = Workspace("memory://bucket/workspace")
    with pytest.raises(InputError, match="--tracking_uri"):
        workspace.tracking_uri("")
    assert workspace.tracking_uri("http://mlflow:5000") == "http://mlflow:5000"


@pytest.mark.parametrize("uri", ["htp://mlflow:5000", "localhost:5000", "s3://bucket/mlruns"])
def test_tracking_uri_of_a_kind_that_mlflow_does_not_know(tmp_path: Path, uri: str) -> None:
    with pytest.raises(InputError, match=f"cannot track at {uri}.*sqlite:///FILE"):
        Workspace(str(tmp_path)).tracking_uri(uri)


def test_tracking_schemes_are_those_that_mlflow_registers() -> None:
    from mlflow.tracking._tracking_service.utils import _tracking_store_registry

    assert set(_tracking_store_registry._registry) == TRACKING_SCHEMES


def test_workspace_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"The workspace .* cannot be written \(Not a directory\)"):
        Workspace(str(tmp_path / "file" / "workspace")).check_writable()


def test_check_writable_leaves_nothing_behind(tmp_path: Path) -> None:
    Workspace(str(tmp_path)).check_writable()
    assert list(tmp_path.iterdir()) == []


def test_name_of_another_config_is_refused(run: RunFolder) -> None:
    run.claim({"optim.lr": 0.1, "seed": 1})
    run.claim({"seed": 1, "optim.lr": 0.1})
    with pytest.raises(InputError, match=r"exists with another optim\.lr: give another --name"):
        run.claim({"optim.lr": 0.2, "seed": 1})


def test_second_process_is_kept_off_a_run(run: RunFolder) -> None:
    with run.lock(), pytest.raises(InputError, match="being trained by another"), run.lock():
        pass
    with run.lock():
        pass


def note(run: RunFolder, *epochs: int | Point) -> None:
    points = [epoch if isinstance(epoch, Point) else Point(epoch) for epoch in epochs]
    results = [{"checkpoint_dir_name": checkpoint_name(point)} for point in points]
    content = {"checkpoint_results": results, "latest_checkpoint_result": results[-1]}
    run.place.write(SNAPSHOT, json.dumps(content).encode())


def test_what_is_saved_is_the_newest_checkpoints(run: RunFolder) -> None:
    assert run.saved() == Point()
    note(run, 11, 12)
    assert run.saved() == Point(12)
    note(run, 12, Point(12, 70))
    assert run.saved() == Point(12, 70)


def test_checkpoints_are_named_in_the_order_of_training() -> None:
    points = [Point(0, 9), Point(1), Point(1, 2), Point(1, 10), Point(2), Point(10, 3), Point(11)]
    names = [checkpoint_name(point) for point in points]
    assert names == sorted(names) and points == sorted(points)
    assert [point_of(f"runs/some/{name}") for name in names] == points
    assert str(Point(2)) == "after epoch 2"
    assert str(Point(2, 70)) == "within epoch 3, after step 70"


def save(run: RunFolder, epoch: int | Point) -> None:
    place = run.sub(checkpoint_name(epoch if isinstance(epoch, Point) else Point(epoch)))
    for modality in MODALITIES:
        place.write(f"{modality}.safetensors", safetensors.numpy.save({"w": np.zeros(3)}))
    place.write("state.json", b'{"phase": "phase1"}')


def test_heal_leaves_a_sound_run_alone(run: RunFolder) -> None:
    assert run.heal() is None
    save(run, 1)
    note(run, 1)
    assert run.heal() is None
    assert run.saved() == Point(1)


@pytest.mark.parametrize("content", [b"", b'{"checkpoint_results": [{"checkp', b"[]"])
def test_heal_finds_the_newest_checkpoint_where_the_note_is_torn(
    run: RunFolder, content: bytes
) -> None:
    save(run, 1)
    save(run, 2)
    run.place.write(SNAPSHOT, content)
    assert run.heal() == "epoch-00002"
    assert run.saved() == Point()  # Ray knows of none
    assert run.heal() == "epoch-00002"  # killed again before Ray noted the next


def test_heal_finds_the_newest_checkpoint_where_a_noted_one_is_gone(run: RunFolder) -> None:
    save(run, 1)
    note(run, 1, 2)
    assert run.heal() == "epoch-00001"


@pytest.mark.parametrize("missing", ["state.json", "bone.safetensors"])
def test_heal_passes_over_a_checkpoint_that_is_not_whole(run: RunFolder, missing: str) -> None:
    save(run, 1)
    save(run, 2)
    run.sub("epoch-00002").remove(missing)
    assert run.heal() == "epoch-00001"
    whole = run.sub("epoch-00001").read("bone.safetensors")
    run.sub("epoch-00001").write("bone.safetensors", whole[:-4])
    assert run.heal() == ""


def test_heal_goes_on_within_an_epoch(run: RunFolder) -> None:
    save(run, 1)
    save(run, Point(1, 40))
    run.place.write(SNAPSHOT, b"torn")
    assert run.heal() == "epoch-00001-step-0000040"


def test_tidy_leaves_what_is_noted_and_every_epoch(run: RunFolder) -> None:
    for point in (Point(1, 40), Point(1, 90), 2):
        save(run, point)
    note(run, Point(1, 90), 2)
    run.tidy()
    assert [name for name in run.place.names() if name.startswith("epoch-")] == [
        "epoch-00001-step-0000090",
        "epoch-00002",
    ]


def test_layouts_are_noted_where_they_change(run: RunFolder) -> None:
    assert run.layouts() == []
    run.add_layout(Point(), 1, 2)
    run.add_layout(Point(1, 5), 1, 2)  # the same again, after a failure
    run.add_layout(Point(3), 1, 4)
    assert run.layouts() == [[0, 0, 1, 2], [3, 0, 1, 4]]


def test_heal_turns_from_a_damaged_checkpoint_that_ray_would_resume(run: RunFolder) -> None:
    save(run, 1)
    save(run, 2)
    note(run, 1, 2)
    run.sub("epoch-00002").write("bone.safetensors", b"damaged")
    assert run.heal() == "epoch-00001"
    assert run.saved() == Point()


def test_result_that_is_not_json_is_told(run: RunFolder) -> None:
    run.place.write("result.json", b"{")
    with pytest.raises(InputError, match=r"result\.json .* is not JSON"):
        run.read_json("result.json")
