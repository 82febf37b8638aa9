"""Many weightings of the same score tables, each judged in milliseconds.

Shapes: N clips, n clips that are not settled, K classes, S tables.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.fusion.align import fuse
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.weight_fitting import fit_temperature


class WeightScorer:
    """Score tables of the same clips, calibrated, ready to be weighed.

    A clip that all tables give the same class is settled: no weights that are at least 0 change it.
    Only the others are computed.

    Args:
        tables: Of one split of one store.
        temperatures: One a table, what their logits are divided by; None: those of least log-loss
            on these clips.

    Raises:
        InputError: No tables, or tables that do not belong together.
    """

    def __init__(
        self, tables: Sequence[ScoreTable], temperatures: Sequence[float] | None = None
    ) -> None:
        self.labels = fuse(tables).labels
        self.temperatures = tuple(
            [fit_temperature(table) for table in tables] if temperatures is None else temperatures
        )
        logits_snk = np.stack(
            [
                fuse(tables, [float(at == other) for other in range(len(tables))]).logits / warmth
                for at, warmth in enumerate(self.temperatures)
            ]
        ).astype(np.float32)
        said_sn = logits_snk.argmax(2)
        open_n = (said_sn != said_sn[0]).any(0)
        self._settled = int((said_sn[0] == self.labels)[~open_n].sum())
        self._labels_n = self.labels[open_n]
        self._logits_snk = np.ascontiguousarray(logits_snk[:, open_n])

    def __len__(self) -> int:
        return len(self.temperatures)

    def top1(self, weights_s: NDArray[np.floating]) -> float:
        """Of the tables fused by these weights, at least 0."""
        tables, clips, classes = self._logits_snk.shape
        if not clips:
            return self._settled / max(1, len(self.labels))
        flat = self._logits_snk.reshape(tables, clips * classes)
        fused_nk = (np.asarray(weights_s, dtype=np.float32) @ flat).reshape(clips, classes)
        right = int((fused_nk.argmax(1) == self._labels_n).sum())
        return (self._settled + right) / len(self.labels)


def simplex_weights(uniform_s: NDArray[np.floating]) -> NDArray[np.float64]:
    """Weights of sum 1 from as many numbers in (0, 1): uniform numbers give uniform weights."""
    shares = -np.log(np.clip(np.asarray(uniform_s, dtype=np.float64), 1e-12, 1 - 1e-12))
    weights: NDArray[np.float64] = shares / shares.sum()
    return weights
