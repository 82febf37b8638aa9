"""Protocols and selections: the clips of train, val and test."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.store.clips import ClipSet, Int64Array
from hhmnet_core.store.manifest import Protocol

VAL, LITERATURE = "val", "literature"
LAST_EPOCH = "last_epoch"  # another spelling of literature


@dataclass(frozen=True)
class Split:
    """Sorted indices of the clips of each split. No clip is in two of them."""

    train: Int64Array
    val: Int64Array
    test: Int64Array


def protocol_name(known: dict[str, Protocol], name: str) -> str:
    """Return `name`, or the first known one for "". Raises InputError for an unknown one."""
    if not name and known:
        return next(iter(known))
    if name not in known:
        raise InputError(f"Unknown protocol {name!r}; the store has {', '.join(known) or 'none'}.")
    return name


def fold_selection(fold: int, folds: int) -> str:
    """Return the selection that holds out one of several folds, counted from 1."""
    return f"fold-{fold}-of-{folds}"


def fold_of(selection: str) -> tuple[int, int] | None:
    """Return the fold that a selection holds out, and the number of folds. None for no fold."""
    match = re.fullmatch(r"fold-(\d+)-of-(\d+)", selection)
    if match is None:
        return None
    fold, folds = int(match[1]), int(match[2])
    return (fold, folds) if 1 <= fold <= folds and folds >= 2 else None


def check_selection(selection: str) -> None:
    """Raise InputError for an unknown selection."""
    if selection not in (VAL, LITERATURE) and fold_of(selection) is None:
        raise InputError(
            f"Unknown selection {selection!r}; expected {VAL}, {LAST_EPOCH}, or a fold such as "
            f"{fold_selection(2, 5)}."
        )


def split_clips(clips: ClipSet, protocol: str, selection: str) -> Split:
    """Split clips by a protocol of their store.

    Args:
        clips: The clips.
        protocol: Name of the protocol. "" is the store's first.
        selection: "val" holds whole subjects of the training clips out for validation: every
            fifth of the sorted training subjects, or the last one of fewer than five; where the
            protocol has a rule for val, its clips instead. "literature" holds nothing out: val is
            empty, and the last epoch is scored.
            "fold-2-of-5" holds out the second of five folds of subjects, which is scored only.

    Raises:
        InputError: An unknown protocol or selection, no clips to train or to test on, clips that
            would both train and test, or too few training subjects to hold some out.
    """
    name = protocol_name(clips.manifest.protocols, protocol)
    check_selection(selection)
    groups = {"subject": clips.subjects, "camera": clips.cameras, "setup": clips.setups}
    applied = apply_protocol(groups, clips.manifest.protocols[name], selection)
    for kind in ("train", "test"):
        if not len(getattr(applied, kind)):
            raise InputError(
                f"Protocol {name} finds no {kind} clips in this store: choose another protocol or "
                "prepare the store from all the data."
            )
    if selection == VAL and not len(applied.val):
        raise InputError(
            f"Protocol {name} trains on a single subject, so none can be held out for val: use "
            "selection last_epoch, or name the subjects or the val clips in the data's table."
        )
    if selection != LITERATURE and not len(applied.val):
        raise InputError(
            f"Protocol {name} trains on fewer subjects than {selection} needs: give fewer folds."
        )
    return applied


def keep_share(split: Split, labels_n: Int64Array, share: float, seed: int) -> Split:
    """Return a split with a share of its training clips, drawn at random from each class.

    Each class keeps one clip or more. With the same seed, a smaller share is part of a larger one.

    Args:
        split: The split.
        labels_n: (N,) classes of all clips.
        share: Share that is kept, in (0, 1].
        seed: Random seed of the draws.
    """
    if share == 1:
        return split
    kept = []
    for label in np.unique(labels_n[split.train]):
        own = split.train[labels_n[split.train] == label]
        drawn = np.random.default_rng([seed, int(label)]).permutation(own)
        kept.append(drawn[: max(1, round(share * len(own)))])
    return Split(np.sort(np.concatenate(kept)), split.val, split.test)


def apply_protocol(groups: dict[str, Int64Array], protocol: Protocol, selection: str) -> Split:
    """Apply the rules of a protocol.

    Args:
        groups: (N,) `subject`, `camera` and `setup` of each clip.
        protocol: The rules.
        selection: Selection as in `split_clips`. Here val may stay empty.

    Raises:
        InputError: A clip matches both rules.
    """
    train_n, test_n = (_matching(groups, rule) for rule in (protocol.train, protocol.test))
    if (train_n & test_n).any():
        raise InputError(
            f"The protocol's rules overlap: {int((train_n & test_n).sum())} clips would both train "
            "and test."
        )
    if protocol.val is not None and selection == VAL:
        val_n = train_n & _matching(groups, protocol.val)
    else:
        held_out = _held_out(np.unique(groups["subject"][train_n]), selection)
        val_n = train_n & np.isin(groups["subject"], held_out)
    return Split(_where(train_n & ~val_n), _where(val_n), _where(test_n))


def _held_out(subjects: Int64Array, selection: str) -> Int64Array:
    """Return the subjects of val among the sorted training subjects."""
    if fold := fold_of(selection):
        number, folds = fold
        return subjects[number - 1 :: folds] if len(subjects) >= folds else subjects[:0]
    if selection == LITERATURE:
        return subjects[:0]
    return subjects[4::5] if len(subjects) >= 5 else subjects[1:][-1:]


def _matching(
    groups: dict[str, Int64Array], rule: Mapping[str, Sequence[int]]
) -> NDArray[np.bool_]:
    match_n = np.ones(len(groups["subject"]), dtype=np.bool_)
    for field, values in rule.items():
        match_n &= np.isin(groups[field], values)
    return match_n


def _where(mask_n: NDArray[np.bool_]) -> Int64Array:
    return np.flatnonzero(mask_n).astype(np.int64)
