"""Measure how many clips per second a model predicts, as itself and as exported files.

    taskset -c 0 python benchmarks/exported_model.py [--batches 1 64] [--frames 100] [--rounds 7]

The model has four encoders of the default size for 20 joints, with random weights; each clip has
one body. The contenders take turns; a row is the median of the rounds and their range. On one core
(`taskset -c 0`) all use one thread, and CPU seconds hardly depend on what else the machine does.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import at_least_one, machine, run, spread, table

from hhmnet_core.deploy.export_check import make_clip, pad
from hhmnet_core.deploy.export_formats import load_graph, write_graph
from hhmnet_core.deploy.graph import ModelGraph
from hhmnet_core.deploy.model import Model
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.modalities import MODALITIES

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from random_networks import random_model, random_network, tensors_of


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=at_least_one, nargs="+", default=[1, 64])
    parser.add_argument("--frames", type=at_least_one, default=100, help="frames of each clip")
    parser.add_argument("--rounds", type=at_least_one, default=7)
    parser.add_argument("--widths", type=at_least_one, nargs="+", default=ModelConfig().widths)
    options = parser.parse_args()
    model_config = ModelConfig(widths=options.widths)
    networks = [random_network(member, member, DataConfig(), model_config) for member in MODALITIES]
    described, weights = random_model(networks), tensors_of(networks)
    model, graph = Model(described, weights), ModelGraph(described, weights)
    onnx, pt2 = (load_graph(write_graph(graph, kind, {}), kind) for kind in ("onnx", "pt2"))
    random = np.random.default_rng(0)
    rows = []
    for batch in options.batches:
        clips = [make_clip(model.layout, 1, options.frames, random) for _ in range(batch)]
        inputs = pad(clips)
        contenders: dict[str, Callable[[], object]] = {
            "Model.predict": lambda clips=clips: model.predict(clips),
            "ONNX Runtime": lambda inputs=inputs: onnx(*inputs),
            "torch.export": lambda inputs=inputs: pt2(*inputs),
        }
        repeats = max(1, 16 // batch)
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
        for number in range(options.rounds + 1):
            for name, predict in contenders.items():
                start, cpu_start = time.perf_counter(), time.process_time()
                for _ in range(repeats):
                    predict()
                if number:  # the first round warms up
                    taken = time.perf_counter() - start, time.process_time() - cpu_start
                    seconds[name].append(taken)
        for name, rounds in seconds.items():
            speeds = [
                [repeats * batch / each for each in kind] for kind in zip(*rounds, strict=True)
            ]
            rows.append((name, batch, *(spread(kind, 1) for kind in speeds)))
    print("\n".join(machine()), f"load average {os.getloadavg()[0]:.1f}", "", sep="\n")
    print(table(("", "batch", "clips/s", "clips per CPU second"), rows))


if __name__ == "__main__":
    run(main)
