"""What the clips of val can tell about the difference of two fusions.

Clips of one person resemble each other: a network that suits a person is better on most of that
person's clips. N clips of few persons therefore tell less about new persons than N independent
clips. The design effect of cluster samples (Kish, "Survey Sampling", 1965, section 5.4) says how
much less, from the intraclass correlation of the clips' differences within persons.

Few persons hardly tell that correlation, one person not at all. Its estimate is therefore averaged
with a prior that counts as PRIOR_SUBJECTS persons (docs/decisions/0031-shrink-towards-equal.md).

Shapes: N clips, G subjects.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import ScoreTable

Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]
PRIOR_CORRELATION = 0.05  # of two clips of a person, in what one fusion gains over another
PRIOR_SUBJECTS = 4  # subjects by which the prior counts beside the estimate
ERRORS = 2.0  # standard errors that a gain has to exceed


@dataclass(frozen=True)
class Gain:
    """The mean gain of one fusion over another on the same clips, and its standard error.

    Attributes:
        mean: Mean gain per clip: nats of log-loss, or a share of correct clips.
        error: Standard error of the mean, for clips that are clustered by subject.
        clips: Number of clips.
        subjects: Number of subjects.
        effective_clips: Number of independent clips that would tell as much.
    """

    mean: float
    error: float
    clips: int
    subjects: int
    effective_clips: float

    @property
    def is_clear(self) -> bool:
        """Whether the gain exceeds the noise, ERRORS standard errors."""
        return self.mean > ERRORS * self.error

    @property
    def worth(self) -> str:
        """The number of clips and what it is worth, for messages."""
        persons = "1 subject" if self.subjects == 1 else f"{self.subjects} subjects"
        return (
            f"{self.clips} clips of {persons} tell as much as {self.effective_clips:.0f} "
            "independent ones"
        )


def subjects_of(tables: Sequence[ScoreTable]) -> Int64Array:
    """Return the subjects (N,) of the clips, in the first table's order.

    Tables of earlier versions do not record them; all clips then count as one subject's, which is
    the most careful assumption.
    """
    first = tables[0]
    for table in tables:
        if table.subjects is not None:
            of = dict(zip(table.sample_ids, table.subjects.tolist(), strict=True))
            return np.array([of[name] for name in first.sample_ids], dtype=np.int64)
    return np.zeros(len(first), dtype=np.int64)


def measure_gain(gains_n: Float64Array, subjects_n: Int64Array) -> Gain:
    """Return the mean of the clips' gains with its standard error.

    Args:
        gains_n: (N,) gain of one fusion over another on each clip.
        subjects_n: (N,) the clips' subjects.

    Raises:
        InputError: No clips.
    """
    if not len(gains_n):
        raise InputError("There are no clips to compare fusions on: give tables with clips.")
    sizes_g = np.unique(subjects_n, return_counts=True)[1]
    effective = effective_clips(sizes_g, within_subjects(gains_n, subjects_n))
    return Gain(
        mean=float(gains_n.mean()),
        error=float(gains_n.std() / np.sqrt(effective)),
        clips=len(gains_n),
        subjects=len(sizes_g),
        effective_clips=effective,
    )


def effective_clips(sizes_g: Int64Array, correlation: float) -> float:
    """Return the number of independent clips that tell as much as clustered ones.

    N / (1 + (m - 1) correlation), where m is the mean number of clips of a clip's subject (Kish,
    1965, equation 5.4.1, with m for unequal sizes).

    Args:
        sizes_g: (G,) number of clips of each subject.
        correlation: Intraclass correlation within subjects, from 0 to 1.
    """
    clips = float(sizes_g.sum())
    mean_size = float((sizes_g**2).sum()) / clips
    return clips / (1 + (mean_size - 1) * correlation)


def within_subjects(gains_n: Float64Array, subjects_n: Int64Array) -> float:
    """Return the intraclass correlation of the clips' gains, averaged with the prior.

    The estimate is that of the one-way analysis of variance (Donner, International Statistical
    Review 54, 1986, section 2), at least 0. It has the weight of G - 1 subjects, the prior that of
    PRIOR_SUBJECTS.
    """
    _, of_n = np.unique(subjects_n, return_inverse=True)
    sizes_g = np.bincount(of_n)
    clips, subjects = len(gains_n), len(sizes_g)
    if subjects < 2 or clips <= subjects:
        return PRIOR_CORRELATION
    means_g = np.bincount(of_n, gains_n) / sizes_g
    between = float((sizes_g * (means_g - gains_n.mean()) ** 2).sum()) / (subjects - 1)
    within = float(((gains_n - means_g[of_n]) ** 2).sum()) / (clips - subjects)
    size = (clips - float((sizes_g**2).sum()) / clips) / (subjects - 1)
    total = between + (size - 1) * within
    estimate = min(1.0, max(0.0, (between - within) / total)) if total > 0 else 0.0
    known = subjects - 1
    return (known * estimate + PRIOR_SUBJECTS * PRIOR_CORRELATION) / (known + PRIOR_SUBJECTS)
