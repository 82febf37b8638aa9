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
from hhmnet_core.models.spatial_v1 import ReDmtV1
from hhmnet_core.training.evaluation import score_table
from hhmnet_core.training.phase1.trainer import Phase1Trainer
from hhmnet_core.training.stream import Stream
from hhmnet_platform.ablation.outcomes import Scores, scores_of

Layer = ReDmt | ReDmtV1
KnockOut = Callable[[Layer], Mapping[str, Any]]


def _mask_off(layer: Layer) -> Mapping[str, Any]:
    if isinstance(layer, ReDmtV1):
        joints = layer.hops_vv.shape[0]
        return {"kept": joints} if layer.kept < joints else {}
    return {"masks": False} if layer.masks else {}


def _no_re_ranking(layer: Layer) -> Mapping[str, Any]:
    if isinstance(layer, ReDmtV1):
        return {"gamma": torch.zeros_like(layer.gamma)} if layer.rerank else {}
    return {"rerank_weight": torch.zeros_like(layer.rerank_weight)} if layer.reranks else {}


def _no_static_map(layer: Layer) -> Mapping[str, Any]:
    return {"static_map": torch.zeros_like(layer.static_map)}


def _has(layer: Layer, method: str) -> bool:
    """Return whether a layer computes its dynamic attention, or its dynamic mask."""
    if isinstance(layer, ReDmtV1):
        return method == "attention"
    return layer.attends if method == "attention" else layer.masks


def _changed(method: str, change: Callable[[Tensor], Tensor]) -> KnockOut:
    """Return the knock-out that changes the attention (R, H, V, V) or mask (R, T, V, C)."""

    def knock_out(layer: Layer) -> Mapping[str, Any]:
        if not _has(layer, method):
            return {}
        whole = getattr(layer, method)
        return {method: lambda x_rtvc: change(whole(x_rtvc))}

    return knock_out


def _of_another_clip(values_r: Tensor) -> Tensor:
    # The bodies of a clip are neighbours, so half of the batch away lies another clip.
    return values_r.roll(len(values_r) // 2, 0)


def _mean_of_clips(values_r: Tensor) -> Tensor:
    return values_r.mean(0, keepdim=True).expand_as(values_r)


KNOCK_OUTS: Mapping[str, KnockOut] = {
    "mask off": _mask_off,
    "another clip's mask": _changed("mask", _of_another_clip),
    "mean mask": _changed("mask", _mean_of_clips),
    "re-ranking term zero": _no_re_ranking,
    "another clip's attention": _changed("attention", _of_another_clip),
    "mean attention": _changed("attention", _mean_of_clips),
    "no dynamic attention": _changed("attention", torch.zeros_like),
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
    changed: list[tuple[Layer, str, bool, Any]] = []
    try:
        has_part = False
        for path, layer in stream.model.named_modules():
            if not isinstance(layer, Layer):
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
