"""Nodes that join, die and are taken away while phase 1 trains; each runs a Ray of its own."""

import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from held import Held
from mlflow import MlflowClient
from processes import each_once, wait_until
from ray_nodes import RayNodes
from safetensors.numpy import load_file

from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1.fitting import fit
from hhmnet_platform.datasets.builders import prepare_synthetic
from hhmnet_platform.runs.config import Phase1Job
from hhmnet_platform.runs.resolve import resolve_run
from hhmnet_platform.scripts.cli import parse_config
from hhmnet_platform.storage.workspace import Workspace

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1500)]
Start = Callable[..., Any]
PHASE1 = Path(__file__).parents[2] / "experiments" / "phase1.py"
# A killed node is missed within seconds; a slow one has time to answer.
ENV = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "20000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_USAGE_STATS_ENABLED": "0",
}
TIGHT = 1e-9


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that gives epochs long enough to take a checkpoint within them."""
    store = tmp_path_factory.mktemp("data") / "synthetic"
    prepare_synthetic(str(store), clips_per_class=10, stream="none")
    return store


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RayNodes]:
    """A head without CPUs, where drivers run; a test adds nodes."""
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:  # Ray's sockets need a short path
        head = {"num_cpus": 0, "include_dashboard": False, "temp_dir": folder}
        nodes = RayNodes(tmp_path / "nodes.log", ENV, **head)
        yield nodes
        nodes.stop()


@pytest.fixture
def train(
    held: Held, tiny: tuple[str, ...], cluster: RayNodes, data: Path, tmp_path: Path
) -> Start:
    """Starts phase 1 on the cluster, in double precision; it can be held."""

    def run(*arguments: str) -> Any:
        env = {**ENV, "RAY_ADDRESS": cluster.address, "RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": "1"}
        where = (f"--data.store={data}", f"--workspace={tmp_path / 'workspace'}")
        options = each_once(*tiny, "--optim.precision=float64", *where, *arguments)
        return held.program(PHASE1, *options, env=env)

    return run


def folder_of(workspace: Path) -> Path:
    (folder,) = (workspace / "runs").iterdir()
    return folder


def assert_as_one_process(
    workspace: Path, tiny: tuple[str, ...], data: Path, tmp: Path, *arguments: str
) -> None:
    """The last checkpoint equals that of one process that trained without a break."""
    options = each_once(*tiny, f"--data.store={data}", "--optim.precision=float64", *arguments)
    job = parse_config("phase1.py", Phase1Job, options)
    run = resolve_run(job, Workspace(str(workspace)), str(data))
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
    """MLflow holds each epoch of each member once. Returns the tags of the parent run."""
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


@pytest.mark.slow
def test_workers_follow_the_nodes_and_the_weights_stay_the_same(
    cluster: RayNodes, train: Start, held: Held, tiny: tuple[str, ...], data: Path, tmp_path: Path
) -> None:
    epochs = 8
    cluster.add(num_cpus=2)
    held.save_until(1)
    # Without modality-parallel workers the batch is split 2 and 4 times: sums in another order.
    process = train(
        "--workers=2:4",
        "--modality_parallel=1",
        f"--optim.epochs={epochs}",
        "--resize_minutes=0",
    )
    held.wait(process, epoch=2, workers=2)
    second = cluster.add(num_cpus=2)
    saved = 1

    def has_changed() -> bool:
        return "with 4 workers instead of 2" in process.output

    while not has_changed():  # Ray may see the node one checkpoint late
        saved += 1
        assert saved < epochs, process.output
        held.save_until(saved)
        wait_until(
            lambda epoch=saved + 1: has_changed() or held.is_held(process, epoch, workers=2),
            "a change of the number of workers",
            300,
        )
    held.wait(process, epoch=saved + 1, workers=4)
    cluster.kill(second)
    process.wait_for(rf"starting again after epoch {saved} \(1 of 3 failures allowed\)")
    held.save_all()
    assert process.finish(600) == 0, process.output
    output = process.output
    mesh = [line for line in output.splitlines() if " data-parallel x " in line]
    assert [line.split(" CPU")[0] for line in mesh] == ["2", "4", "2"]
    assert epochs_shown(output) == list(range(1, epochs + 1))
    workspace = tmp_path / "workspace"
    tags = assert_every_epoch_once(workspace, epochs)
    assert tags["hhmnet.workers"] == "2:4"
    layouts = f"2 x 1 after epoch 0; 4 x 1 after epoch {saved}; 2 x 1 after epoch {saved}"
    assert tags["hhmnet.layouts"] == layouts
    assert_as_one_process(workspace, tiny, data, tmp_path / "alone", f"--optim.epochs={epochs}")


@pytest.mark.slow
def test_node_killed_within_an_epoch_costs_the_time_since_the_last_checkpoint(
    cluster: RayNodes, train: Start, tiny: tuple[str, ...], data: Path, tmp_path: Path
) -> None:
    # An epoch of several seconds: a shorter one ends before the loss of the node is seen.
    longer = (
        "--optim.epochs=2",
        "--optim.batch=2",
        "--data.frames=64",
        "--model.widths=[96,96,96]",
    )
    cluster.add(num_cpus=1)
    second = cluster.add(num_cpus=1)
    process = train("--workers=1:2", "--modality_parallel=1", "--checkpoint_minutes=0.02", *longer)
    process.wait_for(r"^training on .* \(worker processes \d+, \d+\)$")
    process.wait_for(r"^checkpoint within epoch 2, after step \d+$")
    cluster.kill(second)
    before = re.findall(r"^checkpoint within epoch 2, after step (\d+)$", process.output, re.M)
    resumed = process.wait_for(r"starting again within epoch 2, after step (\d+) \(1 of 3")
    assert int(resumed[1]) >= int(before[-1])
    assert process.finish(600) == 0, process.output
    assert epochs_shown(process.output) == [1, 2]
    assert_every_epoch_once(tmp_path / "workspace", 2)
    assert len(list(folder_of(tmp_path / "workspace").glob("epoch-*"))) == 1
    assert_as_one_process(tmp_path / "workspace", tiny, data, tmp_path / "alone", *longer)


@pytest.mark.slow
def test_node_announced_to_be_taken_away_is_no_failure(
    cluster: RayNodes, train: Start, tiny: tuple[str, ...], data: Path, tmp_path: Path
) -> None:
    # Epochs of several seconds: shorter ones end before a checkpoint within them is due.
    longer = (
        "--optim.epochs=5",
        "--optim.batch=1",
        "--data.frames=64",
        "--model.widths=[96,96,96]",
    )
    cluster.add(num_cpus=1)
    second = cluster.add(num_cpus=1)
    process = train("--workers=1:2", "--checkpoint_minutes=0", "--max_failures=0", *longer)
    process.wait_for(r"^training on .* \(worker processes \d+, \d+\)$")
    process.wait_for(r"^ *1/5 ")
    cluster.announce_removal(second, seconds=15)
    process.wait_for(r"a node with 1 of the workers will be removed in \d+ s")
    process.wait_for(r"^checkpoint within epoch \d, after step \d+$")
    process.wait_for(r"resuming (within|after) epoch \d")
    cluster.kill(second)
    assert process.finish(600) == 0, process.output
    assert "failures allowed" not in process.output
    assert epochs_shown(process.output) == list(range(1, 6))
    assert_every_epoch_once(tmp_path / "workspace", 5)
    assert_as_one_process(tmp_path / "workspace", tiny, data, tmp_path / "alone", *longer)


def test_dry_run_on_a_cluster_prints_the_plan_and_writes_nothing(
    cluster: RayNodes, train: Start, tmp_path: Path
) -> None:
    cluster.add(num_cpus=2)
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
    assert not (tmp_path / "workspace").exists()
