"""Measure the cost of Ray: training speed against plain processes, and the time of the start-up.

    python benchmarks/ray_overhead.py [steady] [start] [--layout 1x2] [--store URI]
        [--threads N] [--pairs 3] [--epochs 6] [--starts 3] [--also CHECKOUT]

steady: phase 1 by experiments/phase1.py, with its checkpoints, reports and MLflow, in turns with
the plain generator `fit` in as many processes over gloo, with as many threads. The time is that of
the clock, after the first epoch, with everything between epochs. A speed of 1.00 means no cost.
With --threads 1 and one worker, a machine of two cores has one for Ray's own processes.

start: time from the command to the first training step, as the platform measures and prints it. The
run is interrupted after its first epoch. With --also, another checkout, such as one of an older
commit, is started in turns with this one.

MLflow, which runs in a background thread, is timed alone: its import, and runs in a new database.
"""

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from common import at_least_one, machine, mesh_shape, run, spread, store_or_synthetic, table

from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.store.reading import load_clips, read_manifest
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.fitting import fit

REPOSITORY = Path(__file__).resolve().parents[1]
ACCEPTED = 0.97
CONNECT = """
import sys, time
began = time.perf_counter()
from hhmnet_platform.tracking.run_writer import MlflowWriter
from hhmnet_platform.tracking.tracked_run import TrackedRun
run = TrackedRun(f"sqlite:///{sys.argv[1]}/mlflow.db", "e", "", "run", {}, {}, "d", "0", "s")
MlflowWriter(run).connect()
print(time.perf_counter() - began)
"""


def threads_of(options: argparse.Namespace) -> int:
    """Return the threads per worker: the option, else an equal share of the cores."""
    workers = options.layout[0] * options.layout[1]
    return int(options.threads or max(1, (os.cpu_count() or 1) // workers))


def config(store: str, epochs: int, options: argparse.Namespace) -> Phase1Config:
    return Phase1Config(
        data=DataConfig(store=store), optim=OptimConfig(epochs=epochs, batch=options.batch)
    )


def train_plainly(rank: int, folder: str, store: str, options: argparse.Namespace) -> None:
    """Train as one process without Ray; rank 0 saves the time at the end of each epoch."""
    data, modality = options.layout
    torch.set_num_threads(threads_of(options))
    if data * modality > 1:
        meet = f"file://{folder}/meet"
        dist.init_process_group("gloo", meet, rank=rank, world_size=data * modality)
    done = []
    for _ in fit(config(store, options.epochs + 1, options), load_clips(store), Mesh(modality)):
        done.append(time.perf_counter())
    if rank == 0:
        torch.save(done, Path(folder, "done"))
    if data * modality > 1:
        dist.destroy_process_group()


def plain_seconds(store: str, options: argparse.Namespace) -> float:
    """Return the seconds per epoch of plain processes."""
    with tempfile.TemporaryDirectory() as folder:
        workers = options.layout[0] * options.layout[1]
        mp.spawn(train_plainly, (folder, store, options), nprocs=workers)
        done: list[float] = torch.load(Path(folder, "done"))
    return (done[-1] - done[0]) / options.epochs


class Phase1:
    """A running `experiments/phase1.py` of a checkout, with a temporary workspace.

    As a context manager it yields the lines of output as they are printed.
    """

    def __init__(self, checkout: Path, store: str, epochs: int, options: argparse.Namespace):
        self.folder = tempfile.TemporaryDirectory()
        data, modality = options.layout
        arguments = {
            "data.store": store,
            "optim.epochs": epochs,
            "optim.batch": options.batch,
            "workers": data * modality,
            "modality_parallel": modality,
            "cpus_per_worker": threads_of(options),
            "gpu": "false",
            "workspace": self.folder.name,
        }
        python_path = os.pathsep.join((str(checkout), str(checkout / "platform")))
        self.process = subprocess.Popen(
            [sys.executable, str(checkout / "experiments" / "phase1.py")]
            + [f"--{name}={value}" for name, value in arguments.items()],
            env={**os.environ, "PYTHONPATH": python_path, "RAY_ADDRESS": "local"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Iterator[str]:
        assert self.process.stdout is not None
        return iter(self.process.stdout)

    def __exit__(self, *error: object) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        self.folder.cleanup()


def ray_seconds(store: str, options: argparse.Namespace) -> tuple[float, float]:
    """Return the seconds per epoch under Ray Train, and those of them between two epochs."""
    output, done, training = [], [], []
    with Phase1(REPOSITORY, store, options.epochs + 1, options) as lines:
        for line in lines:
            output.append(line)
            if match := re.match(rf" *\d+/{options.epochs + 1} .*? ([\d.]+) s ", line):
                done.append(time.perf_counter())
                training.append(float(match[1]))
    if len(done) != options.epochs + 1:
        sys.exit(f"error: the run under Ray failed:\n{''.join(output)}")
    whole = (done[-1] - done[0]) / options.epochs
    return whole, whole - sum(training[1:]) / options.epochs


def startup_seconds(checkout: Path, store: str, options: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of each step of a start-up, as the platform prints them."""
    output = []
    with Phase1(checkout, store, 2, options) as lines:
        for line in lines:
            output.append(line)
            if match := re.match(r"first step after [\d.]+ s: (.*)", line):
                parts = (part.rpartition(" ") for part in match[1].split(", "))
                return {name: float(seconds) for name, _, seconds in parts}
    sys.exit(f"error: no line 'first step after' from {checkout}:\n{''.join(output)}")


def mlflow_seconds() -> float:
    """Return the seconds until tracking is ready, alone in a process."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", CONNECT, folder], check=True, capture_output=True, text=True
        )
    return float(done.stdout.splitlines()[-1])


def measure_steady(store: str, options: argparse.Namespace) -> None:
    rows, ratios = [], []
    for pair in range(options.pairs):
        if pair % 2 == 0:  # so that neither always is the second
            plain, (ray, between) = plain_seconds(store, options), ray_seconds(store, options)
        else:
            (ray, between), plain = ray_seconds(store, options), plain_seconds(store, options)
        ratios.append(plain / ray)
        rows.append([f"pair {pair + 1}", *(f"{n:.2f}" for n in (plain, ray, between, plain / ray))])
        print(f"pair {pair + 1}: {plain:.2f} and {ray:.2f} s", file=sys.stderr, flush=True)
    rows.append(["median (range)", "", "", "", spread(ratios, 3)])
    print("### Speed under Ray Train\n")
    headings = [
        "s/epoch, after the first",
        "plain",
        "Ray",
        "of it between epochs",
        "speed with Ray",
    ]
    print(table(headings, rows))
    verdict = "met" if statistics.median(ratios) >= ACCEPTED else "missed"
    print(f"\nTarget: at least {ACCEPTED}, {verdict} by the median.\n", flush=True)


def measure_start(store: str, options: argparse.Namespace) -> None:
    checkouts = {"this checkout": REPOSITORY}
    if options.also:
        checkouts["--also"] = options.also
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in checkouts}
    load_clips(
        store
    )  # writes the node's cached file, which exists for all but the first run on a store
    for _ in range(options.starts):
        for name, checkout in checkouts.items():
            parts = startup_seconds(checkout, store, options)
            runs[name].append({**parts, "first step after": sum(parts.values())})
            print(f"start of {name}: {runs[name][-1]}", file=sys.stderr, flush=True)
    print("### From the command to the first training step\n")
    parts = list(runs["this checkout"][0])
    rows = [
        [part, *(spread([one.get(part, 0.0) for one in ones], 1) for ones in runs.values())]
        for part in parts
    ]
    print(table([f"seconds, median of {options.starts} (range)", *runs], rows))
    if options.also:
        ours, theirs = ([one["first step after"] for one in ones] for ones in runs.values())
        ratios = [this / also for this, also in zip(ours, theirs, strict=True)]
        print(f"\nThis checkout over --also, pair by pair: {spread(ratios)}.")
    alone = [mlflow_seconds() for _ in range(options.starts)]
    print(
        f"\nMLflow, which starts in a background thread, alone: {spread(alone, 1)} s, new database."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="steady, start", help="default: both")
    parser.add_argument("--store", default="", help="URI of a clip store; default: a synthetic one")
    parser.add_argument(
        "--layout", type=mesh_shape, default=(1, 2), help="mesh, D x P; default: 1x2"
    )
    parser.add_argument("--batch", type=at_least_one, default=16)
    parser.add_argument(
        "--threads",
        type=at_least_one,
        help="per worker; default: its share of cores",
    )
    parser.add_argument("--pairs", type=at_least_one, default=3, help="pairs of steady runs")
    parser.add_argument("--epochs", type=at_least_one, default=6, help="epochs that are timed")
    parser.add_argument("--starts", type=at_least_one, default=3)
    parser.add_argument("--also", type=Path, help="another checkout to start, in turns")
    options = parser.parse_args()
    if unknown := set(options.parts) - {"steady", "start"}:
        parser.error(f"expected steady, start or both, not {', '.join(sorted(unknown))}")
    if options.also and not (options.also / "experiments" / "phase1.py").is_file():
        parser.error(f"--also {options.also} is no checkout: it has no experiments/phase1.py")
    wanted = options.parts or ["steady", "start"]
    data, modality = options.layout
    with store_or_synthetic(options.store, clips_per_class=10) as store:
        read_manifest(store)  # one error message, not one per process
        store = str(Path(store).absolute()) if "://" not in store else store
        print("\n".join(machine()))
        print(
            f"mesh {data} x {modality}, {threads_of(options)} threads per worker, "
            f"batch {options.batch}\n",
            flush=True,
        )
        if "steady" in wanted:
            measure_steady(store, options)
        if "start" in wanted:
            measure_start(store, options)


if __name__ == "__main__":
    run(main)
