"""What is rehearsed: a run over two hosts, one that loses a host, and nodes that cannot take part.

Each scenario submits real jobs to the running cluster, checks what comes out, and returns figures.
"""

import re
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch
from safetensors.torch import load_file

from cluster.rehearsal.enclosure import BASE, REPOSITORY, SHARED
from cluster.rehearsal.hosts import Network
from cluster.rehearsal.rayup import WORKSPACE, Job, alive, ask_mlflow, wait_for_hosts
from hhmnet_core.fusion.scores import read_scores, write_scores
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.fitting import fit
from hhmnet_platform.members import FUSION
from hhmnet_platform.runs.config import Phase1Job
from hhmnet_platform.runs.resolve import resolve_run
from hhmnet_platform.scripts.cli import parse_config
from hhmnet_platform.storage.checkpoints import TrainingPoint, checkpoint_name
from hhmnet_platform.storage.workspace import Workspace

STORE = SHARED / "synthetic"
EPOCHS = 10  # enough to be killed in, on a fast machine too
LAST = checkpoint_name(TrainingPoint(EPOCHS))
WORKERS = 4
TOLERANCE = 1e-5
SMALL = (
    "--data.frames=16",
    "--model.widths=[16,16]",
    "--model.heads=2",
    "--model.embedding=16",
    f"--optim.epochs={EPOCHS}",
    "--optim.batch=8",
    "--optim.precision=float64",
    f"--data.store={STORE}",
)
UNDISTURBED, LOST_HOST = "undisturbed", "lost-host"
WORKERS_STARTED = r"training on \d+ nodes\s+\(worker\s+processes\s+([^)]+)\)"
EPOCH = r"^ *{}/{} .* ([0-9.]+) s "


@dataclass(frozen=True)
class Stage:
    """What a scenario plays on."""

    network: Network
    echo: bool


def phase1(stage: Stage) -> dict[str, Any]:
    """A run of four workers over the hosts, against one process without Ray."""
    job = _submit(stage, UNDISTURBED)
    _ends_well(job)
    places = _places(job)
    hosts = {host.name for host in stage.network.workers}
    _expect(set(places.values()) <= hosts, f"workers only on {sorted(hosts)}: {places}")
    _expect(len(set(places.values())) == len(hosts), f"modalities on every worker host: {places}")
    seconds = time.monotonic() - job.began
    alone = BASE / "alone"
    began = time.monotonic()
    _train_alone(alone)
    weights, scores = _differences(_run_folder(UNDISTURBED), alone)
    _expect(weights <= TOLERANCE and scores <= TOLERANCE, f"equal results: {weights}, {scores}")
    return {
        "job_seconds": seconds,
        "alone_seconds": time.monotonic() - began,
        "modality_on": places,
        "weights_differ_by": weights,
        "scores_differ_by": scores,
        "mlflow_epochs": _tracked_once(stage, UNDISTURBED),
    }


def lost_host(stage: Stage) -> dict[str, Any]:
    """The same run, of which a host dies in mid-epoch and comes back."""
    _expect((_run_folder(UNDISTURBED) / "result.json").exists(), "scenario phase1 to come first")
    job = _submit(stage, LOST_HOST)
    took = float(job.wait_for(EPOCH.format(1, EPOCHS))[1])
    victim = stage.network.workers[-1]
    _expect(victim.name in _places(job).values(), f"workers on {victim.name}")
    gone = alive(stage.network)[victim.name]
    time.sleep(took / 2)
    victim.kill()
    died = time.monotonic()
    epoch = int(job.wait_for(r"starting\s+again\s+after\s+epoch\s+(\d+)")[1])
    noticed = time.monotonic() - died
    victim.boot()
    wait_for_hosts(stage.network, gone)
    joined = time.monotonic() - died
    _ends_well(job)
    _expect(f"{EPOCHS}/{EPOCHS}" in job.output, "all epochs")
    equal = [_file(LOST_HOST, m) == _file(UNDISTURBED, m) for m in MODALITIES]
    weights, scores = _differences(_run_folder(LOST_HOST), _run_folder(UNDISTURBED))
    _expect(weights <= TOLERANCE and scores <= TOLERANCE, f"equal results: {weights}, {scores}")
    return {
        "killed": victim.name,
        "killed_in_epoch": epoch + 1,
        "noticed_after_seconds": noticed,
        "back_in_the_cluster_after_seconds": joined,
        "ended_after_seconds": time.monotonic() - died,
        "checkpoints_bit_equal": all(equal),
        "weights_differ_by": weights,
        "scores_differ_by": scores,
        "mlflow_epochs": _tracked_once(stage, LOST_HOST),
    }


@dataclass(frozen=True)
class Trouble:
    """A host that cannot take part.

    Attributes:
        make: Shell commands that make it so, on the host.
        mend: And back.
        said: What the error has to say, beside the host's name.
    """

    make: str
    mend: str
    said: str


def _troubles() -> dict[str, Trouble]:
    project = shlex.quote(str(REPOSITORY))
    used = "$(df --output=used -k /tmp | tail -1)"
    about = f"{project}/.venv/lib/python3.*/site-packages/torch-*.dist-info/METADATA"
    return {
        "not_shared": Trouble(
            f"mount -t tmpfs tmpfs {SHARED} && mkdir {WORKSPACE}",
            f"umount {SHARED}",
            "this path is not shared: node .* cannot see what node .* wrote",
        ),
        "little_room": Trouble(
            f"mount -o remount,size=$(({used} + 98304))k /tmp",
            "mount -o remount,size=50% /tmp",
            "/tmp has [0-9]+ MB free, but the run needs",
        ),
        "full_disk": Trouble(  # not even Ray can start a process
            f"mount -o remount,size=$(({used} + 16384))k /tmp; "
            "cat /dev/zero > /tmp/full 2> /dev/null; test -e /tmp/full",
            "rm /tmp/full; mount -o remount,size=50% /tmp",
            "cannot run a task of Ray .*: see `df` there first, a full disk does this",
        ),
        "no_package": Trouble(
            f"cd {project} && mkdir /tmp/gone && mv platform hhmnet_core /tmp/gone",
            f"mv /tmp/gone/* {project} && rmdir /tmp/gone",
            "cannot import hhmnet_core and hhmnet_platform",
        ),
        "other_version": Trouble(
            f"cp {about} /tmp/about && sed -i 's/^Version: .*/Version: 2.12.9/' {about}",
            f"cp /tmp/about {about}",
            r"has torch 2\.12\.9, but node host0 .* has 2\.13\.0",
        ),
        "other_source": Trouble(
            f"echo '# changed' >> {project}/hhmnet_core/errors.py",
            f"sed -i '$d' {project}/hhmnet_core/errors.py",
            "has other source files of the package",
        ),
    }


def checks(stage: Stage) -> dict[str, Any]:
    """Hosts that cannot take part: each is refused in one line that names it."""
    host = stage.network.workers[-1]
    figures: dict[str, Any] = {}
    for name, trouble in _troubles().items():
        host.run(trouble.make)
        job = _submit(stage, f"refused-{name.replace('_', '-')}")
        code = job.finish()
        host.run(trouble.mend)
        # `ray job submit` shows the log, and the end of it again.
        lines = list({line for line in job.output.splitlines() if "error: " in line})
        _expect(code != 0 and len(lines) == 1, f"one error line for {name}:\n{job.output}")
        _expect("exit code 2" in job.output, f"exit code 2 for {name}:\n{job.output}")
        _expect("Traceback" not in job.output, f"no traceback for {name}:\n{job.output}")
        _expect(host.name in lines[0], f"{host.name} named for {name}: {lines[0]}")
        _expect(bool(re.search(trouble.said, lines[0])), f"{trouble.said!r} said: {lines[0]}")
        _expect(not list(WORKSPACE.glob(".probe-*")), "no probes left in the workspace")
        figures[name] = {"seconds": time.monotonic() - job.began, "said": lines[0]}
    return figures


SCENARIOS: dict[str, Callable[[Stage], dict[str, Any]]] = {
    "phase1": phase1,
    "lost_host": lost_host,
    "checks": checks,
}


def _submit(stage: Stage, name: str) -> Job:
    script = ["python", "experiments/phase1.py", *SMALL, f"--workers={WORKERS}", f"--name={name}"]
    return Job(name, script, stage.echo)


def _ends_well(job: Job) -> None:
    _expect(job.finish() == 0, f"the job to end well:\n{job.output}")


def _places(job: Job) -> dict[str, str]:
    """The host of each modality: with as many workers as modalities, rank r trains the r-th."""
    workers = re.split(r",\s+", job.wait_for(WORKERS_STARTED)[1])
    _expect(len(workers) == len(MODALITIES), f"a worker for each modality: {workers}")
    return {m: worker.split(":")[0] for m, worker in zip(MODALITIES, workers, strict=True)}


def _train_alone(to: Path) -> None:
    """The same training in this process, without Ray: the last checkpoint and the scores."""
    job = parse_config("phase1.py", Phase1Job, SMALL)
    config = resolve_run(job, Workspace(str(to)), str(STORE)).config
    assert isinstance(config, Phase1Config)
    torch.set_num_threads(1)
    (to / LAST).mkdir(parents=True)
    (to / "scores").mkdir()
    for report in fit(config, load_clips(STORE), Mesh()):
        if report.epoch == EPOCHS:
            report.state.save(to / LAST)
            for table in report.scores:
                write_scores(table, to / f"scores/{table.modality}-{table.split}.parquet")


def _differences(run: Path, other: Path) -> tuple[float, float]:
    """The largest of the last checkpoints' tensors, and of the score tables."""
    weights = scores = 0.0
    for modality in MODALITIES:
        file = f"{LAST}/{modality}.safetensors"
        ours, theirs = load_file(run / file), load_file(other / file)
        _expect(ours.keys() == theirs.keys(), f"the same tensors of {modality}")
        for name, tensor in ours.items():
            weights = max(weights, float((tensor.double() - theirs[name].double()).abs().max()))
    for member in (*MODALITIES, FUSION):
        for split in ("val", "test"):
            a, b = (read_scores(at / f"scores/{member}-{split}.parquet") for at in (run, other))
            _expect(a.sample_ids == b.sample_ids, f"the same {split} clips for {member}")
            scores = max(scores, float(abs(a.logits - b.logits).max()))
    return weights, scores


def _tracked_once(stage: Stage, run: str) -> int:
    """The epochs that the head's MLflow holds of each member of a run: every one, once."""
    ask = partial(ask_mlflow, stage.network)
    experiments = ask("experiments/search", {"max_results": 100})["experiments"]
    ids = [experiment["experiment_id"] for experiment in experiments]
    found = ask("runs/search", {"experiment_ids": ids, "max_results": 1000})["runs"]
    runs = [one for one in found if _tags(one)["hhmnet.run"] == run]
    members = sorted(_tags(one)["hhmnet.modality"] for one in runs)
    _expect(members == sorted((*MODALITIES, FUSION)), f"one run a member in MLflow: {members}")
    for one in runs:
        member, status = _tags(one)["hhmnet.modality"], one["info"]["status"]
        _expect(status == "FINISHED", f"{member} finished in MLflow: {status}")
        metric = "val/top1" if member == FUSION else "train/loss"
        query = f"run_id={one['info']['run_id']}&metric_key={quote(metric, safe='')}"
        points = ask(f"metrics/get-history?{query}")["metrics"]
        steps = sorted(int(point["step"]) for point in points)
        _expect(steps == [*range(1, EPOCHS + 1)], f"each epoch of {member} once: {steps}")
    return EPOCHS


def _tags(run: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["data"]["tags"]}


def _run_folder(name: str) -> Path:
    return WORKSPACE / "runs" / name


def _file(run: str, modality: str) -> bytes:
    path = _run_folder(run) / LAST / f"{modality}.safetensors"
    return path.read_bytes()


def _expect(true: bool, what: str) -> None:
    if not true:
        raise SystemExit(f"error: the rehearsal expected {what}")
