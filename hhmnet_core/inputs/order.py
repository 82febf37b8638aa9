"""The order in which an epoch visits its clips."""

import torch
from torch import Tensor

from hhmnet_core.randomness import keyed_generator
from hhmnet_core.store.clips import Int64Array


def epoch_order(clips_n: Int64Array, batch: int, seed: int, epoch: int) -> list[Tensor]:
    """Return an epoch's global batches of clip indices, shuffled.

    Args:
        clips_n: (N,) indices of the training clips.
        batch: Largest size of a batch. Sizes differ by at most one.
        seed: Random seed of the run.
        epoch: Number of the epoch, from 1.
    """
    shuffled = torch.randperm(len(clips_n), generator=keyed_generator(seed, epoch, "order"))
    return list(torch.from_numpy(clips_n)[shuffled].tensor_split(-(-len(clips_n) // batch)))


def smallest_batch(num_clips: int, batch: int) -> int:
    """Return the size of the smallest batch of an epoch."""
    return num_clips // -(-num_clips // batch)
