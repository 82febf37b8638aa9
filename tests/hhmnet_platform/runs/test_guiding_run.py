"""The phase-1 run that guides: it is found, and has to fit."""

from collections.abc import Callable
from pathlib import Path

import pytest
from finished_runs import write_checkpoint

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import StoreConfig
from hhmnet_core.store.reading import load_clips
from hhmnet_platform.runs.guiding_run import check_guiding_run, find_guiding_run, weights_digest
from hhmnet_platform.storage.finished_run import FinishedRun
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.storage.workspace import Workspace

Guide = Callable[..., RunFolder]


def test_run_is_found_by_name_and_by_folder(tmp_path: Path, guide: Guide) -> None:
    folder = guide(tmp_path)
    workspace = Workspace(str(tmp_path))
    assert find_guiding_run("first", workspace, "").folder == folder
    elsewhere = Workspace(str(tmp_path / "elsewhere"))
    assert find_guiding_run(f"{folder.uri}/", elsewhere, "").folder.name == "first"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"digest": "0" * 64}, "was trained on skeletons of digest 000000000000, but"),
        ({"protocol": "other"}, "was trained by protocol other, but cross-view is needed"),
        ({"selection": "literature"}, "was trained with selection literature, but val"),
        ({"phase": "phase2"}, "is a run of phase2, but phase1 is needed here"),
    ],
)
def test_run_that_cannot_guide_is_refused(
    store: Path, tmp_path: Path, guide: Guide, changes: dict[str, str], message: str
) -> None:
    run = FinishedRun.read(guide(tmp_path, **changes))
    data = StoreConfig(protocol="cross-view")
    with pytest.raises(InputError, match=message):
        check_guiding_run(run, data, load_clips(store).skeletons)


def test_run_that_fits_is_accepted(store: Path, tmp_path: Path, guide: Guide) -> None:
    run = FinishedRun.read(guide(tmp_path))
    check_guiding_run(run, StoreConfig(protocol="cross-view"), load_clips(store).skeletons)


def test_missing_and_unfinished_runs_are_named(tmp_path: Path, guide: Guide) -> None:
    workspace = Workspace(str(tmp_path))
    with pytest.raises(InputError, match="--phase1 is missing"):
        find_guiding_run("", workspace, "")
    with pytest.raises(InputError, match=r"There is no phase-1 run at .*runs/first"):
        find_guiding_run("first", workspace, "")
    with pytest.raises(InputError, match=r"holds no run 0{32} of this platform"):
        find_guiding_run("0" * 32, workspace, "")
    guide(tmp_path).files.remove("result.json")
    with pytest.raises(
        InputError, match=r"is unfinished: it has no result\.json\. Check --phase1, or"
    ):
        find_guiding_run("first", workspace, "")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "read.me").touch()
    with pytest.raises(InputError, match=r"notes is no run: it has neither science\.json nor"):
        find_guiding_run(str(tmp_path / "notes"), workspace, "")


def test_digest_is_that_of_the_weights(tmp_path: Path, guide: Guide) -> None:
    folder = guide(tmp_path)
    before = weights_digest(FinishedRun.read(folder), "joint")
    write_checkpoint(folder, b"others")
    assert weights_digest(FinishedRun.read(folder), "joint") != before
    folder.sub("epoch-00002").write("joint.safetensors", b"otherS")
    with pytest.raises(InputError, match=r"joint.safetensors does not match .* in epoch-00002"):
        weights_digest(FinishedRun.read(folder), "joint")
    with pytest.raises(InputError, match="lacks the bone weights of epoch-00002"):
        weights_digest(FinishedRun.read(folder), "bone")
