"""Measure how many clips per second a model predicts, as itself and as exported files.

    python benchmarks/exported_model.py [--batches 1 64] [--frames 100] [--rounds 7]

The model has four encoders of the default size for 20 joints, with random weights; each clip has
one body. The contenders take turns; a row is the median of the rounds and their range.
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
from random_models import random_model, random_network, tensors_of


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
        speeds: dict[str, list[float]] = {name: [] for name in contenders}
        for number in range(options.rounds + 1):
            for name, predict in contenders.items():
                repeats = max(1, 16 // batch)
                start = time.perf_counter()
                for _ in range(repeats):
                    predict()
                if number:  # the first round warms up
                    speeds[name].append(repeats * batch / (time.perf_counter() - start))
        rows += [(name, batch, spread(values, 1)) for name, values in speeds.items()]
    print("\n".join(machine()), f"load average {os.getloadavg()[0]:.1f}", "", sep="\n")
    print(table(("", "batch", "clips/s"), rows))


if __name__ == "__main__":
    run(main)
