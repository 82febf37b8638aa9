"""Print the main effects of a two-level design that `ablate.py --variants_file` has trained.

    python benchmarks/main_effects.py bench_defaults.jsonl [--member fusion]

The name of a variant has one letter for each factor, a capital where the factor is at its second
level, such as sagNRPf (experiments/configs/bench_defaults.yaml). An effect is the mean log-loss at
the second level minus that at the first, over all variants of a bench and seed, so each run tells
of every factor. Below the benches stands the mean effect with its standard error over them. Effects
of pairs of factors are not told apart from those of single ones.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from common import run, table
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_platform.ablation.outcomes import Outcome, read_outcomes


def levels(outcomes: list[Outcome]) -> tuple[str, NDArray[np.float64]]:
    """Return the factors' letters, and the level (variants, factors) of each, -1 or 1.

    Raises InputError where the variants are no two-level design whose factors are balanced.
    """
    names = [outcome.variant for outcome in outcomes]
    letters = names[0].lower()
    if any(name.lower() != letters or not name.isalpha() for name in names):
        raise InputError(
            f"The variants {', '.join(names)} have no letter for each factor, such as sAg and SaG."
        )
    signs = np.array([[1.0 if each.isupper() else -1.0 for each in name] for name in names])
    if signs.sum(0).any() or not np.array_equal(signs.T @ signs, len(names) * np.eye(len(letters))):
        raise InputError(f"The factors of {', '.join(names)} are not balanced.")
    return letters, signs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("outcomes", type=Path, help="file that ablate.py wrote")
    parser.add_argument("--member", default="fusion", help="network, or fusion")
    options = parser.parse_args()
    runs: dict[tuple[str, int], dict[str, Outcome]] = defaultdict(dict)
    for outcome in read_outcomes(options.outcomes):
        runs[outcome.bench, outcome.seed][outcome.variant] = outcome
    most = max((len(each) for each in runs.values()), default=0)
    rows, effects, letters = [], [], ""
    for (bench, seed), found in sorted(runs.items()):
        outcomes = [found[name] for name in sorted(found)]
        if len(outcomes) < most:
            print(f"left out: {bench}, seed {seed} has {len(outcomes)} of {most} variants")
            continue
        if any(options.member not in outcome.log_loss for outcome in outcomes):
            raise InputError(f"--member {options.member} is no network of {options.outcomes}.")
        letters, signs = levels(outcomes)
        losses = np.array([outcome.log_loss[options.member] for outcome in outcomes])
        effects.append(2 * signs.T @ losses / len(outcomes))
        rows.append([f"{bench}, seed {seed}", *(f"{each:+.3f}" for each in effects[-1])])
    if not effects:
        raise InputError(f"{options.outcomes} holds no outcomes: give a file that ablate.py wrote.")
    mean = np.mean(effects, axis=0)
    error = np.std(effects, axis=0, ddof=min(1, len(effects) - 1)) / np.sqrt(len(effects))
    rows.append(["mean", *(f"{m:+.3f} ± {e:.3f}" for m, e in zip(mean, error, strict=True))])
    print(table([f"log-loss, {options.member}", *letters.upper()], rows))


if __name__ == "__main__":
    run(main)
