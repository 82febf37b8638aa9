"""The order in which an epoch visits its clips."""

import torch
from torch import Tensor

from hhmnet_core.randomness import keyed_generator
from hhmnet_core.store.clips import Int64Array


def epoch_order(clips_n: Int64Array, batch: int, seed: int, epoch: int) -> list[Tensor]:
    """An epoch's global batches of clip indices, shuffled, of sizes that differ by one at most."""
    shuffled = torch.randperm(len(clips_n), generator=keyed_generator(seed, epoch, "order"))
    return list(torch.from_numpy(clips_n)[shuffled].tensor_split(-(-len(clips_n) // batch)))


def smallest_batch(clips: int, batch: int) -> int:
    """The size of the smallest of these batches."""
    return clips // -(-clips // batch)
