"""Knock-outs: parts of trained RE-DMT layers switched off, or replaced, while clips are scored.

A knock-out is an entry of `KNOCK_OUTS`: a function that returns, for a layer, what its attributes
are replaced by. A replaced parameter counts in the weights that are scored (averaged or best ones);
any other attribute, methods included, is set on the layer itself. An empty answer means that the
layer lacks the part, and a knock-out that no layer has is left out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hhmnet_core.fusion.align import fuse
from hhmnet_core.fusion.scores import FUSION, ScoreTable
from hhmnet_core.models.encoder import Encoder
from hhmnet_core.models.spatial import ReDmt
from hhmnet_core.training.evaluation import score_table
from hhmnet_core.training.phase1.trainer import Phase1Trainer
from hhmnet_core.training.stream import Stream
from hhmnet_platform.ablation.outcomes import Scores, scores_of

KnockOut = Callable[[ReDmt], Mapping[str, Any]]


def _mask_off(layer: ReDmt) -> Mapping[str, Any]:
    joints = layer.hops_vv.shape[0]
    return {"kept": joints} if layer.kept < joints else {}


def _no_re_ranking(layer: ReDmt) -> Mapping[str, Any]:
    return {"gamma": torch.zeros_like(layer.gamma)} if layer.rerank else {}


def _no_static_map(layer: ReDmt) -> Mapping[str, Any]:
    return {"static_map": torch.zeros_like(layer.static_map)}


def _changed_attention(change: Callable[[Tensor], Tensor]) -> KnockOut:
    """Return the knock-out that changes the dynamic attention (R, H, V, V) of R bodies."""

    def knock_out(layer: ReDmt) -> Mapping[str, Any]:
        whole = layer.attention
        return {"attention": lambda x_rtvc: change(whole(x_rtvc))}

    return knock_out


def _of_another_clip(map_rhvu: Tensor) -> Tensor:
    # The bodies of a clip are neighbours, so half of the batch away lies another clip.
    return map_rhvu.roll(len(map_rhvu) // 2, 0)


def _mean_map(map_rhvu: Tensor) -> Tensor:
    return map_rhvu.mean(0, keepdim=True).expand_as(map_rhvu)


KNOCK_OUTS: Mapping[str, KnockOut] = {
    "mask off": _mask_off,
    "re-ranking term zero": _no_re_ranking,
    "another clip's attention": _changed_attention(_of_another_clip),
    "mean attention": _changed_attention(_mean_map),
    "no dynamic attention": _changed_attention(torch.zeros_like),
    "static map zero": _no_static_map,
}


def score_knock_outs(trainer: Phase1Trainer, split: str) -> dict[str, Scores]:
    """Return the scores of a trained encoder's split without each part that it has.

    Clips are scored in a random order, the same for each part: batches in the order of a store hold
    few classes, and then another clip's attention would mostly be that of the same class.

    Args:
        trainer: Trainer after its last epoch.
        split: "val" or "test".
    """
    indices = trainer.split.val if split == "val" else trainer.split.test
    shuffled = np.random.default_rng(trainer.config.seed).permutation(indices)
    found = {}
    for name, knock_out in KNOCK_OUTS.items():
        with ExitStack() as stack:
            changed = [stack.enter_context(knocked_out(s, knock_out)) for s in trainer.streams]
            if any(changed):
                logits_mnk = trainer.logits(shuffled, best=True)
                tables = [
                    score_table(trainer.clips, shuffled, logits_nk, member, split, trainer.copies)
                    for member, logits_nk in zip(trainer.members, logits_mnk, strict=True)
                ]
                found[name] = scores_of(by_member(tables))
    return found


@contextmanager
def knocked_out(stream: Stream[Encoder], knock_out: KnockOut) -> Iterator[bool]:
    """Knock a part out of a network while its best weights are scored; yield whether it has it."""
    best, weights = stream.best, dict(stream.weights(best=True))
    changed: list[tuple[ReDmt, str, bool, Any]] = []
    try:
        has_part = False
        for path, layer in stream.model.named_modules():
            if not isinstance(layer, ReDmt):
                continue
            for name, value in knock_out(layer).items():
                has_part = True
                if name in dict(layer.named_parameters(recurse=False)):
                    weights[f"{path}.{name}"] = value
                else:
                    changed.append((layer, name, name in vars(layer), getattr(layer, name)))
                    setattr(layer, name, value)
        stream.best = weights
        yield has_part
    finally:
        stream.best = best
        for layer, name, is_own, before in changed:
            if is_own:
                setattr(layer, name, before)
            else:  # a method of the class
                delattr(layer, name)


def by_member(tables: Sequence[ScoreTable]) -> dict[str, ScoreTable]:
    """Return tables of different modalities by member, with their fusion if there are several."""
    found = {table.modality: table for table in tables if table.modality != FUSION}
    return found | {FUSION: fuse(list(found.values()))} if len(found) > 1 else found
