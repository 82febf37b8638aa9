"""Measure accuracy and time of a search for fusion weights, against many random weightings.

Score tables are random: each clip has K logits of noise, plus a strength for the true class that
differs between the tables.
"""

import argparse
import tempfile
import time

import numpy as np
from common import at_least_one, machine, peak_resident_mib, run, table

from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.weight_scoring import WeightScorer, simplex_weights
from hhmnet_platform.cluster.session import ray_session
from hhmnet_platform.fusion.candidates import Candidate
from hhmnet_platform.fusion.search_weights import FusionSearch, search_weights


def random_candidates(clips: int, classes: int, tables: int) -> list[Candidate]:
    """Return networks that are correct on about two thirds to nine tenths of the clips."""
    random = np.random.default_rng(1)
    labels = random.integers(0, classes, clips)
    ids = tuple(f"clip{number}" for number in range(clips))
    names = tuple(f"class {number}" for number in range(classes))
    hard_n = random.normal(0, 0.8, clips)  # a clip is as hard for every network
    candidates = []
    for number, strength in enumerate(np.linspace(2.4, 1.6, tables)):
        logits = random.normal(size=(clips, classes)).astype(np.float32)
        logits[np.arange(clips), labels] += (strength + hard_n).astype(np.float32)
        scores = ScoreTable(ids, labels, logits, f"run{number}", "joint", "val", "0" * 64, names)
        candidates.append(Candidate(f"run{number}", "joint", scores, scores))
    return candidates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=at_least_one, default=10_000)
    parser.add_argument("--classes", type=at_least_one, default=60)
    parser.add_argument("--tables", type=at_least_one, default=5)
    parser.add_argument("--trials", type=at_least_one, default=2, help="studies, side by side")
    parser.add_argument("--evaluations", type=at_least_one, default=300, help="per study")
    parser.add_argument("--random", type=int, default=100_000, help="random weightings; 0: none")
    options = parser.parse_args()
    candidates = random_candidates(options.clips, options.classes, options.tables)
    with tempfile.TemporaryDirectory() as workspace, ray_session() as resources:
        job = FusionSearch(
            trials=options.trials, evaluations=options.evaluations, workspace=workspace
        )
        began = time.perf_counter()
        weights = search_weights(candidates, job, resources)
        seconds = time.perf_counter() - began
    weighting = WeightScorer([each.val for each in candidates])
    searched = weighting.top1(weights)
    title = f"searched, {options.trials} x {options.evaluations}"
    rows = [[title, f"{searched:.4%}", f"{seconds:.1f}"]]
    if options.random:
        random = np.random.default_rng(2)
        began = time.perf_counter()
        best = max(weighting.top1(simplex_weights(random.random(len(weighting))))
                   for _ in range(options.random))  # fmt: skip
        took = time.perf_counter() - began
        rows.append([f"best of {options.random:,} random", f"{best:.4%}", f"{took:.1f}"])
        rows.append(["difference", f"{searched - best:+.4%}", ""])
    print("\n".join(machine()) + "\n")
    size = f"{options.clips:,} clips x {options.classes} classes x {options.tables} tables"
    print(f"{size}; peak of this process {peak_resident_mib():,.0f} MiB\n")
    print(table(["weights", "top-1", "seconds"], rows))


if __name__ == "__main__":
    run(main)
