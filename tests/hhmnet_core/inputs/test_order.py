"""The order of an epoch: a permutation that seed and epoch decide, in batches of equal size."""

import numpy as np
import pytest
import torch

from hhmnet_core.inputs.order import epoch_order, smallest_batch

CLIPS = np.arange(100, 137)


@pytest.mark.parametrize("batch", [1, 5, 16, 36, 37, 100])
def test_epoch_visits_every_clip_once(batch: int) -> None:
    batches = epoch_order(CLIPS, batch, seed=1, epoch=3)
    assert sorted(torch.cat(batches).tolist()) == CLIPS.tolist()
    sizes = [len(clips_n) for clips_n in batches]
    assert max(sizes) <= batch and max(sizes) - min(sizes) <= 1
    assert min(sizes) == smallest_batch(len(CLIPS), batch)
    assert len(batches) == -(-len(CLIPS) // batch)


def test_order_depends_on_seed_and_epoch_alone() -> None:
    order = torch.cat(epoch_order(CLIPS, 8, seed=1, epoch=3)).tolist()
    assert torch.cat(epoch_order(CLIPS, 5, seed=1, epoch=3)).tolist() == order
    assert torch.cat(epoch_order(CLIPS, 8, seed=1, epoch=4)).tolist() != order
    assert torch.cat(epoch_order(CLIPS, 8, seed=2, epoch=3)).tolist() != order
    assert order != CLIPS.tolist()
