"""Nodes that come, go and are taken away while phase 1 trains; every node a real Ray of its own."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from safetensors.numpy import load_file

from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1.fitting import fit
from hhmnet_platform.cli import parse_config
from hhmnet_platform.runs.config import Phase1Job
from hhmnet_platform.runs.run import prepare_run
from hhmnet_platform.storage.workspace import Workspace

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1500)]
Start = Callable[..., Any]
# A node that was killed is missed within seconds; one that is only slow has time to answer.
ENV = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "20000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_USAGE_STATS_ENABLED": "0",
}
TIGHT = 1e-9


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head without cores, where drivers run; nodes are added by the test."""
    from ray.cluster_utils import Cluster

    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    folder = tempfile.mkdtemp(prefix="ray-")  # Ray's sockets need a short path
    head: dict[str, Any] = {
        "num_cpus": 0,
        "include_dashboard": False,
        "object_store_memory": 128 << 20,
        "temp_dir": folder,
    }
    cluster = Cluster(initialize_head=True, connect=False, head_node_args=head)
    yield cluster
    cluster.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


def add(cluster: Any, cpus: int) -> Any:
    return cluster.add_node(wait=False, num_cpus=cpus, object_store_memory=128 << 20)


@pytest.fixture
def train(phase1: Start, cluster: Any, tmp_path: Path) -> Start:
    """Starts phase 1 on the cluster, in double precision."""

    def run(*arguments: str) -> Any:
        env = {**ENV, "RAY_ADDRESS": cluster.address, "RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": "1"}
        return phase1(tmp_path, "--optim.precision=float64", *arguments, env=env)

    return run


def folder_of(workspace: Path) -> Path:
    (folder,) = (workspace / "runs").iterdir()
    return folder


def assert_as_one_process(
    workspace: Path, tiny: tuple[str, ...], data: Path, tmp: Path, *arguments: str
) -> None:
    """The last checkpoint is that of one process that trained without a break."""
    arguments = (*tiny, f"--data.store={data}", "--optim.precision=float64", *arguments)
    job = parse_config("phase1.py", "", Phase1Job, arguments)
    run = prepare_run(job, Workspace(str(workspace)), str(data))
    for report in fit(run.config, run.clips, Mesh()):  # noqa: B007
        pass
    report.state.save(tmp)
    last = max(folder_of(workspace).glob("epoch-*"))
    assert last.name == f"epoch-{job.optim.epochs:05d}"
    largest = 0.0
    for modality in MODALITIES:
        ours, theirs = (load_file(at / f"{modality}.safetensors") for at in (last, tmp))
        assert ours.keys() == theirs.keys()
        for name in ours:
            np.testing.assert_allclose(ours[name], theirs[name], atol=TIGHT, rtol=0, err_msg=name)
            largest = max(largest, float(np.abs(ours[name] - theirs[name]).max(initial=0)))
    print(f"largest difference of any weight or moment: {largest:.1e}")


def assert_every_epoch_once(workspace: Path, epochs: int) -> dict[str, str]:
    """In MLflow, for all that is trained; the parent's tags."""
    client = MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name.startswith("synthetic")]
    runs = {
        run.data.tags["hhmnet.modality"]: run
        for run in client.search_runs([experiment.experiment_id])
    }
    assert set(runs) == {*MODALITIES, "fusion"}
    for member, run in runs.items():
        assert run.info.status == "FINISHED"
        points = client.get_metric_history(run.info.run_id, "val/top1")
        assert sorted(point.step for point in points) == list(range(1, epochs + 1)), member
    return dict(runs["fusion"].data.tags)


def epochs_shown(output: str) -> list[int]:
    return [int(epoch) for epoch in re.findall(r"^ *(\d+)/\d+ ", output, re.MULTILINE)]


def test_workers_follow_the_nodes_and_the_weights_stay_the_same(
    cluster: Any, train: Start, tiny: tuple[str, ...], data: Path, tmp_path: Path
) -> None:
    epochs = 12
    add(cluster, cpus=2)
    # Of all layouts the ones that add in another order: the batch is split 2 and 4 times.
    process = train(
        "--workers=2:4",
        "--modality_parallel=1",
        f"--optim.epochs={epochs}",
        "--resize_minutes=0",
    )
    process.wait_for(r"^training on .* \(worker processes \d+, \d+\)$")
    second = add(cluster, cpus=2)
    process.wait_for(r"resuming after epoch \d+ with 4 workers instead of 2")
    process.wait_for(r"worker processes \d+, \d+, \d+, \d+\)\n(.*\n)* *\d+/12 ")
    cluster.remove_node(second, allow_graceful=False)
    process.wait_for(r"starting again after epoch \d+ \(1 of 3 failures allowed\)")
    assert process.finish(600) == 0, process.output
    output = process.output
    mesh = [line for line in output.splitlines() if " data-parallel x " in line]
    assert [line.split(" CPU")[0] for line in mesh] == ["2", "4", "2"]
    assert epochs_shown(output) == list(range(1, epochs + 1))
    tags = assert_every_epoch_once(tmp_path, epochs)
    assert tags["hhmnet.workers"] == "2:4"
    assert re.fullmatch(
        r"2 x 1 after epoch 0; 4 x 1 after epoch \d+; 2 x 1 after epoch \d+", tags["hhmnet.layouts"]
    )
    assert_as_one_process(tmp_path, tiny, data, tmp_path / "alone", f"--optim.epochs={epochs}")


@pytest.mark.slow
def test_node_killed_within_an_epoch_costs_the_time_since_the_last_checkpoint(
    cluster: Any, train: Start, tiny: tuple[str, ...], data: Path, tmp_path: Path
) -> None:
    longer = ("--optim.epochs=2", "--optim.batch=3")
    add(cluster, cpus=1)
    second = add(cluster, cpus=1)
    process = train("--workers=1:2", "--modality_parallel=1", "--checkpoint_minutes=0.02", *longer)
    process.wait_for(r"^training on .* \(worker processes \d+, \d+\)$")
    process.wait_for(r"^checkpoint within epoch 2, after step \d+$")
    cluster.remove_node(second, allow_graceful=False)
    before = re.findall(r"^checkpoint within epoch 2, after step (\d+)$", process.output, re.M)
    resumed = process.wait_for(r"starting again within epoch 2, after step (\d+) \(1 of 3")
    assert int(resumed[1]) >= int(before[-1])
    assert process.finish(600) == 0, process.output
    assert epochs_shown(process.output) == [1, 2]
    assert_every_epoch_once(tmp_path, 2)
    assert len(list(folder_of(tmp_path).glob("epoch-*"))) == 2
    assert_as_one_process(tmp_path, tiny, data, tmp_path / "alone", *longer)


@pytest.mark.slow
def test_node_announced_to_be_taken_away_is_no_failure(
    cluster: Any, train: Start, tiny: tuple[str, ...], data: Path, tmp_path: Path
) -> None:
    from ray._raylet import GcsClient
    from ray.core.generated.autoscaler_pb2 import DrainNodeReason

    # Epochs of several seconds: within shorter ones nothing is asked, each is checkpoint enough.
    longer = (
        "--optim.epochs=5",
        "--optim.batch=1",
        "--data.frames=64",
        "--model.widths=[96,96,96]",
    )
    add(cluster, cpus=1)
    second = add(cluster, cpus=1)
    process = train("--workers=1:2", "--checkpoint_minutes=0", "--max_failures=0", *longer)
    process.wait_for(r"^training on .* \(worker processes \d+, \d+\)$")
    process.wait_for(r"^ *1/5 ")
    deadline = int(1000 * (time.time() + 15))
    accepted, why = GcsClient(address=cluster.address).drain_node(
        second.node_id, DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"), "spot", deadline
    )
    assert accepted, why
    process.wait_for(r"a node with 1 of the workers will be removed in \d+ s")
    process.wait_for(r"^checkpoint within epoch \d, after step \d+$")
    process.wait_for(r"resuming (within|after) epoch \d")
    cluster.remove_node(second, allow_graceful=False)
    assert process.finish(600) == 0, process.output
    assert "failures allowed" not in process.output
    assert epochs_shown(process.output) == list(range(1, 6))
    assert_every_epoch_once(tmp_path, 5)
    assert_as_one_process(tmp_path, tiny, data, tmp_path / "alone", *longer)


def test_plan_of_a_cluster_is_said_without_training(
    cluster: Any, train: Start, tmp_path: Path
) -> None:
    add(cluster, cpus=2)
    cluster.wait_for_nodes()
    process = train("--workers=2:8", "--dry_run=true", "--price_per_worker_hour=1.5")
    assert process.finish() == 0, process.output
    for said in (
        r"^nodes       1 of 0 CPUs, 1 of 2 CPUs$",
        r"^mesh        2 to 8 CPU workers; modality-parallel: the largest of 4, 2, 1",
        r"^with 2      2 CPU workers: 1 data-parallel x 2 modality-parallel",
        r"^with 8      8 CPU workers: 2 data-parallel x 4 modality-parallel",
        r"^time        about .* measured on a node of the cluster, without communication$",
        r"^cost        about \d+\.\d\d \(8 workers for \d+\.\d\d h at 1.5 per hour each\)$",
    ):
        assert re.search(said, process.output, re.MULTILINE), (said, process.output)
    assert not (tmp_path / "runs").exists()
    assert os.listdir(tmp_path) == []
