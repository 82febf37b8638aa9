"""The confidence below which predictions are called unsure.

Shapes: N clips, K classes.
"""

import numpy as np
from numpy.typing import NDArray

ACCEPTED = 0.95


def unsure_threshold(
    probabilities_nk: NDArray[np.float64],
    labels_n: NDArray[np.int64],
    accepted: float = ACCEPTED,
) -> float:
    """Return the highest confidence that a share of the correct predictions still reaches.

    The confidence is the highest probability. Clips of none of the classes are to be kept out, but
    there are none to measure it on; so the threshold is chosen by what it costs, the correct
    predictions that it calls unsure, as in Hendrycks and Gimpel, "A baseline for detecting
    misclassified and out-of-distribution examples in neural networks", ICLR 2017.

    Args:
        probabilities_nk: (N, K) probabilities of clips that were not trained on, such as val's.
        labels_n: (N,) the true classes.
        accepted: Share of the correct predictions that have to reach the threshold, in (0, 1].

    Returns:
        The threshold; 1 where no prediction is correct.
    """
    correct_n = probabilities_nk.argmax(1) == labels_n
    confidence = np.sort(probabilities_nk.max(1)[correct_n])
    if not len(confidence):
        return 1.0
    return float(confidence[len(confidence) - int(np.ceil(accepted * len(confidence)))])
