"""Prove and measure phase 1 on a GPU: equality with the CPU, step times, whole trainings in parts.

    python benchmarks/gpu.py parity                      # minutes
    python benchmarks/gpu.py steps [--batches 16 64 512] [--precisions float32 tf32 bf16]
    python benchmarks/gpu.py train --config experiments/configs/nw_ucla.yaml --store data/nw_ucla \
        --out gpu-runs --seeds 1 2 3 --minutes 8         # again, until it says that it is finished

It needs neither Ray nor MLflow. On a CPU it runs as well, which shows no more than that it works.

parity: a few steps by plain gradients from the same weights; the largest difference of a loss and
of a change of a weight to the loop over the encoders on the CPU in float64, relative to the largest
loss and change.
steps: "loop" trains one encoder after the other, "stacked" all as one, "compiled" those by
Inductor, "graphs" also replays whole steps as CUDA graphs. Busy is the share of the time in which a
kernel runs. Clips are random numbers of NW-UCLA's or NTU's shape.
train: the recipe, one seed after the other. A call ends after so many minutes; the next goes on.
"""

import argparse
import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch
from common import at_least_one, machine, peak_resident_mib, run, table
from train_step import SHAPES, random_clips

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.fitting import fit
from hhmnet_core.training.phase1.trainer import Phase1Trainer
from hhmnet_core.training.recorded_steps import WARM_UP
from hhmnet_platform.runs.config import Phase1Job
from hhmnet_platform.scripts.cli import parse_config

CPU = torch.device("cpu")
PRECISIONS = ("float32", "tf32", "bf16")
WAYS = ("loop", "stacked", "compiled", "graphs")
SMALL = ModelConfig(widths=[16, 32], heads=2, embedding=16)


def make_trainer(
    config: Phase1Config, clips: ClipSet, device: torch.device, way: str, modalities: int = 4
) -> Phase1Trainer:
    """Return a trainer of the encoders in one of `WAYS`."""
    torch.compiler.reset()  # torch compiles a function for eight shapes, of all trainers together
    compiled = way in ("compiled", "graphs")
    captured = way == "graphs" and device.type == "cuda"
    config = replace(config, optim=replace(config.optim, compile=compiled, capture=captured))
    mesh = Mesh.alone(4 // modalities)
    return Phase1Trainer(config, clips, mesh, device, stacked=way != "loop")


def first_steps(trainer: Phase1Trainer) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the sums of the last of a few steps, and what all of them changed, in float64.

    They are so many that the last one is replayed where steps are recorded.
    """
    before = weights_of(trainer)
    batch_n = trainer.epoch_order(1)[0]
    for step in range(WARM_UP + 2):
        sums = trainer.train_step(trainer.prepare(1, step, batch_n))
    return sums.double().cpu(), weights_of(trainer) - before


def weights_of(trainer: Phase1Trainer) -> torch.Tensor:
    """Return all weights of the encoders, one after the other, in float64 on the host."""
    found = []
    for stream in trainer.streams:
        weights = stream.optimizer.weights
        trained = weights.views(weights.memory_p[: len(weights.gradient_q)], stream.index)
        found += [trained[name].detach().double().cpu().flatten() for name in sorted(trained)]
    return torch.cat(found)


def parity(options: argparse.Namespace) -> None:
    rows = []
    for shape in options.shapes:
        clips = random_clips(shape, 2 * options.batch)
        data = DataConfig(selection="literature", frames=SHAPES[shape][1])
        model = SMALL if options.small else ModelConfig()
        optim = OptimConfig(name="sgd", batch=options.batch, lr=0.01)
        config = Phase1Config(data=data, model=model, optim=optim)
        exact = replace(config, optim=replace(config.optim, precision="float64"))
        reference = first_steps(make_trainer(exact, clips, CPU, "loop"))
        for way in options.ways:
            for precision in dict.fromkeys(["float32", *options.precisions]):
                optim = replace(config.optim, precision=precision)
                trainer = make_trainer(replace(config, optim=optim), clips, options.device, way)
                sums, changed = first_steps(trainer)
                loss = (sums - reference[0])[:, 0].abs().max() / reference[0][:, 0].abs().max()
                step = (changed - reference[1]).abs().max() / reference[1].abs().max()
                rows.append([shape, way, precision, f"{float(loss):.1e}", f"{float(step):.1e}"])
    print(table(["clips", "encoders", "precision", "loss", "weights"], rows))


def busy_share(trainer: Phase1Trainer, order: list[torch.Tensor], steps: int) -> str:
    """Return the share of the time in which kernels run, as text; none on a CPU."""
    if trainer.device.type != "cuda":
        return ""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    torch.cuda.synchronize(trainer.device)
    began = time.perf_counter()
    with torch.profiler.profile(activities=activities) as profile:
        for step in range(steps):
            trainer.train_step(trainer.prepare(1, step, order[step % len(order)]))
        torch.cuda.synchronize(trainer.device)
        seconds = time.perf_counter() - began
    busy = sum(event.self_device_time_total for event in profile.key_averages()) / 1e6
    return f"{100 * busy / seconds:.0f}"


def step_milliseconds(trainer: Phase1Trainer, order: list[torch.Tensor], steps: int) -> float:
    """Return the median duration of a step; steps overlap as in training."""
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        for _, prepared in trainer.prepared(1, [order[i % len(order)] for i in range(steps)]):
            trainer.train_step(prepared)
        if trainer.device.type == "cuda":
            torch.cuda.synchronize(trainer.device)
        seconds.append((time.perf_counter() - began) / steps)
    return 1000 * statistics.median(seconds)


def steps(options: argparse.Namespace) -> None:
    rows: list[list[object]] = []
    on_gpu = options.device.type == "cuda"
    for shape in options.shapes:
        for batch in options.batches:
            clips = random_clips(shape, 2 * batch)
            for network, modalities, way, precision in candidates(options):
                optim = OptimConfig(batch=batch, precision=precision)
                data = DataConfig(selection="literature", frames=SHAPES[shape][1])
                model = SMALL if options.small else ModelConfig()
                config = Phase1Config(data=data, model=replace(model, name=network), optim=optim)
                if on_gpu:
                    torch.cuda.reset_peak_memory_stats(options.device)
                trainer = make_trainer(config, clips, options.device, way, modalities)
                order = trainer.epoch_order(1)
                step_milliseconds(trainer, order, 3)  # compiles, and warms up
                duration = step_milliseconds(trainer, order, options.steps)
                peak = peak_resident_mib()
                if on_gpu:
                    peak = torch.cuda.max_memory_allocated(options.device) / 2**20
                rows.append(
                    [
                        f"{shape}, {batch}", network, modalities, way, precision,
                        f"{duration:.2f}", f"{1000 * batch / duration:,.0f}",
                        busy_share(trainer, order, options.steps), f"{peak:,.0f}",
                    ]
                )  # fmt: skip
                print(" ".join(map(str, rows[-1])), flush=True)
    headings = ["clips, batch", "network", "modalities", "encoders", "precision"]
    print("\n" + table([*headings, "ms a step", "clips/s", "busy, %", "MiB"], rows))


def candidates(options: argparse.Namespace) -> list[tuple[str, int, str, str]]:
    """Return network, number of modalities, way and precision of each measurement."""
    found = [("ctr_gcn", count, "loop", "float32") for count in options.modalities]
    for count in options.modalities:
        for way in options.ways:
            found += [("stst", count, way, precision) for precision in options.precisions]
    return found


def train(options: argparse.Namespace) -> None:
    ends = time.monotonic() + 60 * options.minutes
    job = parse_config("gpu.py", Phase1Job, ["--config", options.config])
    given = Phase1Config(**{name: getattr(job, name) for name in Phase1Config.__annotations__})
    data = replace(given.data, store=options.store)
    clips = load_clips(options.store)
    rows = []
    for seed in options.seeds:
        folder = options.out / f"seed-{seed}"
        resume = folder if (folder / "state.json").exists() else None
        config = replace(given, data=data, seed=seed)
        trained = 0.0
        for report in fit(config, clips, Mesh(), device=options.device, resume=resume):
            trained = sum(record.seconds for record in report.history)
            if report.scores or time.monotonic() >= ends:
                report.state.save(folder)
                break
        if not report.scores:
            print(f"seed {seed}: {report.epoch} epochs are done; the same command goes on.")
            return
        metrics = report.metrics
        tops = [f"{100 * values['test/top1']:.1f}" for values in metrics.values()]
        rows.append([f"seed {seed}", *tops, f"{trained / 60:.1f}"])
    print(table(["top-1, %", *report.metrics, "minutes"], rows))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    stages = parser.add_subparsers(dest="stage", required=True)
    for name in ("parity", "steps"):
        stage = stages.add_parser(name)
        stage.add_argument("--shapes", nargs="+", choices=[*SHAPES], default=[*SHAPES])
        stage.add_argument("--ways", nargs="+", choices=WAYS, default=[*WAYS])
        stage.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=[*PRECISIONS])
        stage.add_argument("--small", action="store_true", help="a network that is no use")
    stages.choices["parity"].add_argument("--batch", type=at_least_one, default=16)
    stage = stages.choices["steps"]
    stage.add_argument("--batches", nargs="+", type=at_least_one, default=[16, 64, 128, 512])
    stage.add_argument("--modalities", nargs="+", type=int, choices=(1, 4), default=[1, 4])
    stage.add_argument("--steps", type=at_least_one, default=20, help="steps of a measurement")
    stage = stages.add_parser("train")
    stage.add_argument("--config", required=True, help="recipe of phase 1")
    stage.add_argument("--store", required=True)
    stage.add_argument("--out", type=Path, required=True, help="folder of the checkpoints")
    stage.add_argument("--seeds", nargs="+", type=int, default=[1])
    stage.add_argument("--minutes", type=float, default=8.0)
    options = parser.parse_args()
    try:
        options.device = torch.device(options.device)
    except RuntimeError as error:
        raise InputError(f"--device {options.device} is no device, such as cuda or cpu.") from error
    print("\n".join(machine()) + "\n", flush=True)
    {"parity": parity, "steps": steps, "train": train}[options.stage](options)


if __name__ == "__main__":
    run(main)
