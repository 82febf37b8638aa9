"""Constructed score tables with a known truth: networks of given strengths, persons who differ.

A clip's logits are noise, partly shared by the networks, an offset per network, person and class,
and a strength for the true class that varies from person to person.

Shapes: N clips, K classes, S networks, G persons.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.fusion.scores import ScoreTable

CLASSES = 10
SCENARIOS = {
    "alike": lambda networks: [2.0] * networks,
    "one useless": lambda networks: [2.0] * (networks - 1) + [0.0],
    "one strong": lambda networks: [3.0] + [0.7] * (networks - 1),
    "graded": lambda networks: np.linspace(2.6, 1.2, networks).tolist(),
}


def constructed_tables(
    random: np.random.Generator,
    strengths: Sequence[float],
    clips: int,
    persons: int,
    spread: float = 0.35,
    shared: float = 0.4,
) -> list[ScoreTable]:
    """Return a table of each network on clips of new persons.

    Args:
        random: Generator of everything that is drawn.
        strengths: (S,) mean logit of the true class, by network.
        clips: N, the number of clips.
        persons: G, the number of persons.
        spread: Standard deviation of the strengths and of the offsets over persons.
        shared: Share of the noise's variance that is common to the networks.
    """
    mean_s = np.array(strengths)[:, None]
    subjects_n = np.arange(clips) % persons
    labels_n = random.integers(0, CLASSES, clips)
    strength_sg = mean_s + spread * np.minimum(1, mean_s) * random.normal(
        size=(len(strengths), persons)
    )
    offset_sgk = spread * random.normal(size=(len(strengths), persons, CLASSES))
    common_nk = random.normal(size=(clips, CLASSES))
    own_snk = random.normal(size=(len(strengths), clips, CLASSES))
    logits_snk: NDArray[np.float64] = np.sqrt(shared) * common_nk + np.sqrt(1 - shared) * own_snk
    logits_snk += offset_sgk[:, subjects_n]
    logits_snk[:, np.arange(clips), labels_n] += strength_sg[:, subjects_n]
    ids = tuple(f"clip{number:05d}" for number in range(clips))
    names = tuple(f"class {number}" for number in range(CLASSES))
    return [
        ScoreTable(
            ids, labels_n, logits_nk.astype(np.float32), f"run{number}", "joint", "val", "d" * 64,
            names, subjects=subjects_n,
        )
        for number, logits_nk in enumerate(logits_snk)
    ]  # fmt: skip
