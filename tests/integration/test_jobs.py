"""Phase 1 as a job of a running cluster, with and without a working directory."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from processes import each_once

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
Start = Callable[..., Any]
REPOSITORY = Path(__file__).parents[2]
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


@pytest.fixture(scope="module")
def dashboard(start_head: Callable[..., Any]) -> str:
    """The address for jobs of a cluster with a token."""
    url: str = start_head(TOKEN).dashboard
    return url


@pytest.fixture(scope="module")
def submit(start: Start, dashboard: str, executable: Callable[[str], str]) -> Callable[..., Any]:
    """Submits a job, again where the agent of the cluster is not up yet."""

    def run(*arguments: str) -> Any:
        command = (executable("ray"), "job", "submit", f"--address={dashboard}", *arguments)
        for _ in range(6):
            job = start(*command, env=TOKEN, cwd=REPOSITORY)
            code = job.finish(400)
            if "No available agent" not in job.output and "Failed to connect" not in job.output:
                break
        return code, job.output

    return run


@pytest.mark.parametrize(
    "spelling",
    [
        pytest.param((), marks=pytest.mark.slow, id="plain"),
        pytest.param(("--working-dir", "."), id="working-dir"),
    ],
)
def test_job_trains_phase1(
    submit: Callable[..., Any],
    data: Path,
    tiny: tuple[str, ...],
    tmp_path: Path,
    spelling: tuple[str, ...],
) -> None:
    code, output = submit(
        *spelling,
        "--",
        "python",
        "experiments/phase1.py",
        *each_once(*tiny, "--workers=1", "--optim.epochs=1"),
        f"--data.store={data}",
        f"--workspace={tmp_path}",
    )
    assert code == 0, output
    assert "joining the Ray cluster" in output
    assert "fusion, equal weights" in output
    (folder,) = (tmp_path / "runs").iterdir()
    assert (folder / "result.json").exists()


def test_job_with_more_workers_than_the_cluster_fails_with_one_line(
    submit: Callable[..., Any], data: Path, tmp_path: Path
) -> None:
    code, output = submit(
        "--",
        "python",
        "experiments/phase1.py",
        "--workers=64",
        f"--data.store={data}",
        f"--workspace={tmp_path}",
    )
    assert code != 0
    assert "error: 64 workers of 1 CPU do not fit: the cluster at" in output
    assert "Traceback" not in output.split("error: 64")[0]


@pytest.mark.parametrize(
    "key",
    [
        {"RAY_AUTH_MODE": "disabled"},
        {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64},
    ],
    ids=["no-token", "wrong-token"],
)
def test_job_without_the_clusters_token_is_refused(
    start: Start,
    dashboard: str,
    executable: Callable[[str], str],
    tmp_path: Path,
    key: dict[str, str],
) -> None:
    made = tmp_path / "made"
    command = (executable("ray"), "job", "submit", f"--address={dashboard}", "--")
    job = start(*command, "touch", made, env=key, cwd=REPOSITORY)
    assert job.finish(120) != 0, job.output
    assert "Unauthorized" in job.output or "Forbidden" in job.output or "401" in job.output
    with pytest.raises(HTTPError, match=r"40[13]"):
        urlopen(f"{dashboard}/api/jobs/", timeout=20)
    assert not made.exists()
