"""Training in bfloat16: what is computed in it and what is not, and that it learns."""

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hhmnet_core.models import spatial
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.fitting import fit
from hhmnet_core.training.phase1.trainer import Phase1Trainer

CPU = torch.device("cpu")


class Types(TorchDispatchMode):
    """Records the types of the floating-point inputs of each operation."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[str, set[torch.dtype]] = defaultdict(set)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for each in tree_leaves((args, kwargs)):
            if isinstance(each, torch.Tensor) and each.is_floating_point():
                self.of[func.overloadpacket.__name__].add(each.dtype)
        return func(*args, **kwargs or {})


@pytest.mark.parametrize("stacked", [False, True])
def test_products_are_in_bfloat16_and_all_that_needs_precision_is_not(
    small: Phase1Config, tiny_clips: ClipSet, monkeypatch: pytest.MonkeyPatch, stacked: bool
) -> None:
    config = replace(small, optim=replace(small.optim, precision="bf16"))
    trainer = Phase1Trainer(config, tiny_clips, Mesh(), CPU, stacked=stacked)
    prepared = trainer.prepare(1, 0, trainer.epoch_order(1)[0])
    ranked = []
    jaccard = spatial.k_reciprocal_jaccard

    def rerank(distance: torch.Tensor, k1: int, k2: int) -> torch.Tensor:
        ranked.append(distance.dtype)
        return jaccard(distance, k1, k2)

    monkeypatch.setattr(spatial, "k_reciprocal_jaccard", rerank)
    with Types() as types:
        sums = trainer.train_step(prepared)
    assert torch.bfloat16 in types.of["bmm"] | types.of["mm"] | types.of["addmm"]
    full = {torch.float32}
    for name in ("native_layer_norm", "_softmax", "_log_softmax", "_fused_adamw_", "lerp_"):
        assert types.of[name] == full, name
    assert set(ranked) == full and sums.dtype == torch.float64
    for stream in trainer.streams:
        assert {weight.dtype for weight in stream.model.parameters()} == full
        assert {weight.dtype for weight in stream.average.values()} == full


def test_a_run_in_bfloat16_ends_near_that_in_float32(
    small: Phase1Config, tiny_clips: ClipSet
) -> None:
    losses = {}
    for precision in ("float32", "bf16"):
        optim = replace(small.optim, precision=precision, epochs=8)
        *_, last = fit(replace(small, optim=optim), tiny_clips, Mesh())
        losses[precision] = last.metrics["joint"]["train/loss"]
    assert losses["bf16"] == pytest.approx(losses["float32"], rel=0.05)
    assert losses["bf16"] != losses["float32"]
