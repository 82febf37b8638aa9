"""The top-1 of many fusion weights on the same score tables, each in milliseconds.

Shapes: N clips, K classes, S tables.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.fusion.align import stack_aligned
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.weight_fitting import fit_temperature


class WeightScorer:
    """Calibrated score tables of the same clips, ready for the top-1 of any weights.

    Clips on which all tables predict one class are counted once: weights of at least 0 do not
    change their prediction. Only the other clips are computed for each weights.

    Args:
        tables: S tables of one split of the same data, their clips in any order.
        temperatures: (S,) divisors of the tables' logits. Default: those of least log-loss on
            these clips.

    Attributes:
        labels: (N,) the true classes, in the first table's order of clips.
        temperatures: (S,) the divisors.

    Raises:
        InputError: No tables, or tables of different digests, splits, classes, clips or labels.
    """

    def __init__(
        self, tables: Sequence[ScoreTable], temperatures: Sequence[float] | None = None
    ) -> None:
        logits_snk = stack_aligned(tables).astype(np.float32)
        self.labels = tables[0].labels
        self.temperatures = tuple(
            [fit_temperature(table) for table in tables] if temperatures is None else temperatures
        )
        # One by one in float32: an array of temperatures would divide in float64.
        for logits_nk, temperature in zip(logits_snk, self.temperatures, strict=True):
            logits_nk /= temperature
        predictions_sn = logits_snk.argmax(2)
        open_n = (predictions_sn != predictions_sn[0]).any(0)
        self._num_unanimous_correct = int((predictions_sn[0] == self.labels)[~open_n].sum())
        self._open_labels_n = self.labels[open_n]
        self._open_logits_snk = np.ascontiguousarray(logits_snk[:, open_n])

    def __len__(self) -> int:
        return len(self.temperatures)

    def top1(self, weights_s: NDArray[np.floating]) -> float:
        """Return the top-1 of the tables fused with weights (S,) of at least 0."""
        num_tables, num_open, num_classes = self._open_logits_snk.shape
        if not num_open:
            return self._num_unanimous_correct / max(1, len(self.labels))
        flat_logits = self._open_logits_snk.reshape(num_tables, num_open * num_classes)
        fused = np.asarray(weights_s, dtype=np.float32) @ flat_logits
        predictions_n = fused.reshape(num_open, num_classes).argmax(1)
        num_correct = int((predictions_n == self._open_labels_n).sum())
        return (self._num_unanimous_correct + num_correct) / len(self.labels)


def simplex_weights(uniform_s: NDArray[np.floating]) -> NDArray[np.float64]:
    """Map numbers (S,) in (0, 1) to weights (S,) of sum 1.

    Independent uniform numbers give weights that are uniform on the simplex (Devroye, "Non-Uniform
    Random Variate Generation", 1986, chapter V).
    """
    exponentials_s = -np.log(np.clip(np.asarray(uniform_s, dtype=np.float64), 1e-12, 1 - 1e-12))
    weights_s: NDArray[np.float64] = exponentials_s / exponentials_s.sum()
    return weights_s
