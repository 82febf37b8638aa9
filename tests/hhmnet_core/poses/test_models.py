"""Model files: their folder, what is not one of them, and where they come from."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.poses import fetching, models
from hhmnet_core.poses.blazepose.estimator import BlazePose, BlazePoseConfig


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HHMNET_POSES", str(tmp_path / "models"))
    return tmp_path / "models"


def test_folder_is_given_or_in_the_home(monkeypatch: pytest.MonkeyPatch, empty: Path) -> None:
    assert models.models_folder() == empty
    monkeypatch.setenv("HHMNET_POSES", "")
    assert models.models_folder() == Path.home() / ".cache" / "hhmnet" / "poses"


def test_missing_and_other_models_are_named(empty: Path) -> None:
    for make in (BlazePose, BlazePoseConfig().fingerprint):
        with pytest.raises(
            InputError, match=r"no pose model .*pose_detection\.tflite: run make po"
        ):
            make()
    empty.mkdir()
    (empty / "pose_detection.tflite").write_bytes(b"another one")
    with pytest.raises(InputError, match=r"is not the pose model that is expected.*run make poses"):
        BlazePose()


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(InputError, match=r"ai-edge-litert, which runs BlazePose.*run make poses"):
        BlazePoseConfig().fingerprint()


def wheel_of(monkeypatch: pytest.MonkeyPatch, **members: bytes) -> None:
    """Let pip download a wheel that holds some files; without any it fails."""

    def download(command: tuple[str, ...], **_: object) -> "subprocess.CompletedProcess[str]":
        assert command[1:4] == ("-m", "pip", "download") and fetching.WHEEL in command
        if not members:
            return subprocess.CompletedProcess(command, 1, "", "WARNING: x\nERROR: no such wheel")
        folder = next(each for each in command if each.startswith("--dest=")).partition("=")[2]
        with zipfile.ZipFile(Path(folder) / "mediapipe-0.10.21.whl", "w") as file:
            for name, content in members.items():
                file.writestr(name, content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(fetching.subprocess, "run", download)


def test_wheels_that_cannot_be_used_are_named(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel_of(monkeypatch)
    with pytest.raises(InputError, match=r"cannot download mediapipe==0\.10\.21.*ERROR: no such"):
        fetching.fetch_models()
    wheel_of(monkeypatch, other=b"")
    with pytest.raises(InputError, match=r"holds no mediapipe/modules/pose_detection"):
        fetching.fetch_models()
    wheel_of(monkeypatch, **{models.DETECTOR.member: b"x", models.LANDMARKS.member: b"y"})
    with pytest.raises(InputError, match=r"is not the pose model that is expected \(sha256 9ba9dd"):
        fetching.fetch_models()
    assert not empty.exists()


def test_whole_models_are_not_fetched_again_and_damaged_ones_are(
    pose_models: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {file: models.read_model(file) for file in models.MODEL_FILES}
    monkeypatch.setenv("HHMNET_POSES", str(tmp_path))
    (tmp_path / models.LANDMARKS.name).write_bytes(b"damaged")
    members = {file.member: content for file, content in contents.items()}
    wheel_of(monkeypatch, **members)
    assert fetching.fetch_models() == tmp_path
    assert {file: models.read_model(file) for file in models.MODEL_FILES} == contents
    wheel_of(monkeypatch)  # the registry is gone
    assert fetching.fetch_models() == tmp_path


def test_folder_that_cannot_be_written_is_named(
    pose_models: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {file.member: models.read_model(file) for file in models.MODEL_FILES}
    (tmp_path / "file").touch()
    monkeypatch.setenv("HHMNET_POSES", str(tmp_path / "file"))
    wheel_of(monkeypatch, **contents)
    with pytest.raises(InputError, match=r"Cannot write .*point HHMNET_POSES at another folder"):
        fetching.fetch_models()
