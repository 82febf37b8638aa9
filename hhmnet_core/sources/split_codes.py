"""Published splits by the names of clips, as protocols on a number that each clip carries.

A store's protocols are rules on subject, camera and set-up. Where a data set gives a list of clips
for each split instead, each combination of splits becomes one set-up.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hhmnet_core.store.manifest import Protocol

VAL_SHARE = 0.1  # of each class's training clips, where no subjects are known


@dataclass(frozen=True)
class Membership:
    """The clips of a protocol: names of train, of test and, where the source gives them, of val."""

    train: frozenset[str]
    test: frozenset[str]
    val: frozenset[str] = frozenset()


def encode_splits(
    labels: Mapping[str, int], protocols: Mapping[str, Membership], seed: int | None
) -> tuple[dict[str, int], dict[str, Protocol]]:
    """Return each clip's set-up, and the protocols as rules on it.

    Args:
        labels: Label of each clip by name.
        protocols: Clips of each protocol.
        seed: Random seed by which a tenth of each class's training clips becomes val. None: whole
            subjects will.
    """
    val_of = {
        name: each.val
        or (frozenset() if seed is None else _draw_val(labels, each.train, seed, name))
        for name, each in protocols.items()
    }
    numbers: dict[tuple[str, ...], int] = {}
    setup_of: dict[str, int] = {}
    for clip in labels:
        code = tuple(
            "val" if clip in val_of[name]
            else "train" if clip in each.train
            else "test" if clip in each.test
            else ""
            for name, each in protocols.items()
        )  # fmt: skip
        setup_of[clip] = numbers.setdefault(code, len(numbers))
    rules = {}
    for at, name in enumerate(protocols):
        by_split = {
            split: sorted(number for code, number in numbers.items() if code[at] == split)
            for split in ("train", "test", "val")
        }
        val = by_split["val"]
        rules[name] = Protocol(
            train={"setup": sorted(by_split["train"] + val)},
            test={"setup": by_split["test"]},
            val={"setup": val} if val else None,
        )
    return setup_of, rules


def drawn_val_note(seed: int) -> str:
    """Return the note on a val that is drawn, since no subjects are known."""
    return (
        "the file names no subjects: val is a tenth of the training clips of each class, drawn "
        f"with seed {seed}"
    )


def _draw_val(
    labels: Mapping[str, int], train: frozenset[str], seed: int, protocol: str
) -> frozenset[str]:
    """Draw val among the training clips of each class that has more than one."""
    by_class: dict[int, list[str]] = {}
    for name in sorted(train & labels.keys()):
        by_class.setdefault(labels[name], []).append(name)
    drawn: set[str] = set()
    for label, names in by_class.items():
        random = np.random.default_rng([seed, label, zlib.crc32(protocol.encode())])
        count = min(max(1, round(VAL_SHARE * len(names))), len(names) - 1)
        drawn.update(names[at] for at in random.permutation(len(names))[:count])
    return frozenset(drawn)
