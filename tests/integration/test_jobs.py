"""Phase 1 as a job of a running cluster, with and without a working directory."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from processes import free_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
Start = Callable[..., Any]
REPOSITORY = Path(__file__).parents[2]
# A cluster asks for a token by default, which `ray start` makes and the command line reads.
TOKEN = {"RAY_AUTH_MODE": "token"}


@pytest.fixture(scope="module")
def dashboard(start: Start, executable: Callable[[str], str]) -> Iterator[str]:
    """The address for jobs of a `ray start --head` in the root of the repository."""
    folder = tempfile.mkdtemp(prefix="ray-")  # Ray's sockets need a short path
    ports = {
        name: free_port()
        for name in (
            "port",
            "dashboard-port",
            "dashboard-agent-listen-port",
            "ray-client-server-port",
            "metrics-export-port",
        )
    }
    command = [
        executable("ray"),
        "start",
        "--head",
        "--block",
        "--num-cpus=2",
        "--disable-usage-stats",
    ]
    options = [f"--{name}={number}" for name, number in ports.items()]
    # Jobs run `python`, which is that of the environment that the cluster was started in.
    env = {**TOKEN, "PATH": f"{Path(executable('ray')).parent}:{os.environ['PATH']}"}
    # On a busy machine Ray may not be up within its own limit of 30 seconds.
    for _ in range(3):
        head = start(*command, *options, f"--temp-dir={folder}", env=env, cwd=REPOSITORY)
        try:
            head.wait_for("Ray runtime started", 120)
            break
        except AssertionError:
            head.stop()
    else:
        pytest.fail(head.output)
    url = f"http://127.0.0.1:{ports['dashboard-port']}"
    yield url
    head.stop()
    shutil.rmtree(folder, ignore_errors=True)


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
        *tiny,
        "--workers=1",
        "--optim.epochs=1",
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
