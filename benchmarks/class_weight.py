"""Compare `optim.class_weight` none and balanced on a training set with rare classes.

    python benchmarks/class_weight.py [--share 20] [--steps 600] [--seeds 1 2 3]

The 21 classes of the synthetic set, joints, cross-subject. Every second class has one clip in the
training set where the others have `share`. Reported on test, whose classes stay even: top-1, which
is the mean class accuracy then, and the accuracies of the rare and of the frequent classes.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from common import at_least_one, machine, run, table

from hhmnet_core.fusion.metrics import is_correct
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.protocols import split_clips
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.fitting import fit
from hhmnet_platform.datasets.builders import prepare_synthetic

DATA = DataConfig(selection="last_epoch", frames=32)
BATCH = 16


def with_rare_classes(clips: ClipSet, share: int) -> tuple[ClipSet, list[int]]:
    """Return the clips without most training clips of every second class, and these classes."""
    train = split_clips(clips, DATA.protocol, DATA.selection).train
    rare = list(range(1, len(clips.manifest.class_names), 2))
    dropped: set[int] = set()
    for label in rare:
        of_class = train[clips.labels[train] == label]
        dropped |= {*of_class[len(of_class) // share or 1 :].tolist()}
    kept = [clips.clip(number) for number in range(len(clips)) if number not in dropped]
    return ClipSet.of(clips.manifest, kept), rare


def accuracies(
    clips: ClipSet, rare: list[int], weighting: str, steps: int, seed: int
) -> list[float]:
    """Train once; return top-1 on test of all, of the rare and of the other classes."""
    train = split_clips(clips, DATA.protocol, DATA.selection).train
    epochs = -(-steps // -(-len(train) // BATCH))
    optim = OptimConfig(epochs=epochs, batch=BATCH, class_weight=weighting)
    config = Phase1Config(data=DATA, optim=optim, seed=seed)
    *_, last = fit(config, clips, Mesh.of(["joint"]))
    (scores,) = (each for each in last.scores if (each.modality, each.split) == ("joint", "test"))
    correct, is_rare = is_correct(scores), np.isin(scores.labels, rare)
    return [float(each.mean()) for each in (correct, correct[is_rare], correct[~is_rare])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=at_least_one, default=20)
    parser.add_argument("--clips_per_class", type=at_least_one, default=60)
    parser.add_argument("--steps", type=at_least_one, default=600)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        store, cache = Path(temporary, "store"), Path(temporary, "cache")
        made = given.clips_per_class
        prepare_synthetic(str(store), clips_per_class=made, stream="none", workers=1)
        clips, rare = with_rare_classes(load_clips(store, cache), given.share)
        rows = [
            [weighting, seed]
            + [f"{each:.1%}" for each in accuracies(clips, rare, weighting, given.steps, seed)]
            for seed in given.seeds
            for weighting in ("none", "balanced")
        ]
    print("\n".join(machine()), end="\n\n")
    print(table(["class_weight", "seed", "test top-1", "rare classes", "other classes"], rows))


if __name__ == "__main__":
    run(main)
