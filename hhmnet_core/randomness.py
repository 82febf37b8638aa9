"""Random numbers keyed by their purpose, so that they do not depend on the number of workers.

Every worker draws for the whole global batch from a generator keyed by (seed, epoch, step,
purpose) and keeps its own rows: splitting a batch over workers changes no number.
"""

import hashlib

import torch
from torch import Tensor


def keyed_generator(*key: int | str) -> torch.Generator:
    """Return a generator seeded by the key, equal in every process and Python version."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    generator = torch.Generator()
    generator.manual_seed(int.from_bytes(digest, "little") >> 1)
    return generator


class BatchRandom:
    """Draws on the host for a global batch of `total` clips, of which it returns some rows.

    Args:
        key: Purpose of the draws, such as seed, epoch, step and a name.
        total: Clips in the global batch.
        start: First row of this process.
        stop: Row after its last. None: the end of the batch.
    """

    def __init__(
        self, *key: int | str, total: int, start: int = 0, stop: int | None = None
    ) -> None:
        self.total = total
        self.rows = slice(start, total if stop is None else stop)
        self._generator = keyed_generator(*key)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Return draws from U[low, high), of shape (rows, *shape)."""
        drawn = torch.rand(self.total, *shape, generator=self._generator)
        return (drawn * (high - low) + low)[self.rows]

    def normal(self, *shape: int) -> Tensor:
        """Return draws from N(0, 1), of shape (rows, *shape)."""
        return torch.randn(self.total, *shape, generator=self._generator)[self.rows]
