"""Runs that join a cluster by RAY_ADDRESS: with its token, without it, and where it has none."""

import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from hhmnet_platform.cluster.joining import OPEN_CLUSTER
from hhmnet_platform.tracking import tags

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
EXPERIMENTS = Path(__file__).parents[2] / "experiments"
Start = Callable[..., Any]
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
DISABLED = {"RAY_AUTH_MODE": "disabled"}


@pytest.fixture(scope="module")
def with_token(start_head: Callable[..., Any]) -> str:
    address: str = start_head(TOKEN, "--include-dashboard=false").address
    return address


@pytest.fixture
def join(start: Start, phase1_arguments: Callable[..., tuple[str, ...]]) -> Start:
    """`join(address, env, workspace, "--seed=2")`: a phase 1 on the cluster at an address."""
    return lambda address, env, workspace, *more: start(
        sys.executable,
        EXPERIMENTS / "phase1.py",
        *phase1_arguments(workspace, *more),
        env={"RAY_ADDRESS": address, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"} | env,
    )


def refused(process: Any) -> str:
    """Return the one line of a process that refuses its input within 20 seconds."""
    began = time.monotonic()
    assert process.finish(60) == 2, process.output
    assert time.monotonic() - began < 20
    (line,) = process.output.splitlines()
    return str(line)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, "asks for its token: set RAY_AUTH_MODE=token, and put the token into"),
        (TOKEN | {"RAY_AUTH_TOKEN": "0" * 64}, "asks for its token"),
        ({"RAY_AUTH_MODE": "token", "HOME": "/nonexistent"}, "but there is no token: put"),
    ],
    ids=["none", "wrong", "missing"],
)
def test_cluster_with_a_token_is_not_joined_without_it(
    join: Start, with_token: str, tmp_path: Path, env: dict[str, str], expected: str
) -> None:
    process = join(with_token, env, tmp_path, "--dry_run=true")
    assert expected in refused(process)


def test_cluster_with_a_token_is_joined_with_it(
    join: Start, with_token: str, tmp_path: Path
) -> None:
    process = join(with_token, TOKEN, tmp_path, "--dry_run=true")
    assert process.finish() == 0, process.output
    assert OPEN_CLUSTER not in process.output


@pytest.mark.slow
def test_run_on_an_open_cluster_says_so_and_goes_on(
    join: Start, start_head: Callable[..., Any], tmp_path: Path
) -> None:
    head = start_head(DISABLED, "--include-dashboard=false")
    process = join(head.address, DISABLED, tmp_path, "--optim.epochs=1", "--workers=1")
    assert process.finish() == 0, process.output
    assert process.output.count(OPEN_CLUSTER) == 1
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("films/cross-view")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.data.tags.get(tags.OPEN_CLUSTER) for run in runs} == {"true"}
