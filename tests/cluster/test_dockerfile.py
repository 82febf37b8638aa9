"""The Dockerfile, as hadolint reads it, and what travels into the image."""

import subprocess
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "cluster" / "Dockerfile"


@pytest.fixture
def lint(executable: Callable[[str], str], tmp_path: Path) -> Callable[[str], str]:
    def run(text: str) -> str:
        file = tmp_path / "Dockerfile"
        file.write_text(text)
        done = subprocess.run(
            [executable("hadolint"), "--no-color", file], capture_output=True, text=True, timeout=60
        )
        assert (done.returncode == 0) == (done.stdout + done.stderr == "")
        return done.stdout + done.stderr

    return run


def test_dockerfile_is_sound(lint: Callable[[str], str]) -> None:
    assert lint(DOCKERFILE.read_text()) == ""


@pytest.mark.parametrize(
    ("right", "wrong", "rule"),
    [
        ("FROM python:3.11.14-slim-bookworm AS build", "FROM python:latest AS build", "DL3007"),
        ("wget=1.21.*", "wget", "DL3008"),
        ("COPY platform platform", "COPPY platform platform", "unexpected 'C'"),
        ("USER 1000", "USER root", "DL3002"),
    ],
)
def test_what_is_wrong_in_a_dockerfile_is_seen(
    lint: Callable[[str], str], right: str, wrong: str, rule: str
) -> None:
    text = DOCKERFILE.read_text()
    assert right in text
    assert rule in lint(text.replace(right, wrong))


def test_everything_that_is_copied_is_there_and_nothing_else_travels() -> None:
    copied = {
        name
        for line in DOCKERFILE.read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for name in line.split()[1:-1]
    }
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    assert all((ROOT / name).exists() for name in copied)
    assert not any(fnmatch("data", name) or fnmatch("workspace", name) for name in copied)
