"""The ensemble of what MLflow holds: calibrated, selected on val, reported once on test."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from hhmnet_core.fusion.compare import Paired, interval, mcnemar
from hhmnet_core.fusion.scores import (
    ScoreTable,
    fuse,
    right,
    share_without_copies,
    top1,
    top1_without_copies,
)
from hhmnet_core.fusion.selection import SelectionConfig, log_probabilities, select
from hhmnet_core.fusion.weights import fit_temperature
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.fusion.candidates import Candidate, Rejected
from hhmnet_platform.members import VIDEO
from hhmnet_platform.storage.scores import SPLITS

Shares = NDArray[np.float64]
ENSEMBLE, EQUAL, BEST = "ensemble", "all, equal weights", "best single"


@dataclass(frozen=True)
class Entry:
    """A line of the leaderboard.

    Attributes:
        name: What it is.
        members: Networks in it.
        val_top1: What it could be chosen by.
        test_top1: On test.
        interval: Of that, 95 %, over clips.
        test_top1_without_copies: On the test clips that no network was trained on or chosen by;
            None where that is all of them, or none.
    """

    name: str
    members: int
    val_top1: float
    test_top1: float
    interval: tuple[float, float]
    test_top1_without_copies: float | None


@dataclass(frozen=True)
class Ensemble:
    """What was selected, and what it is worth.

    Attributes:
        candidates: What it was selected from.
        rejected: What was left out before.
        temperatures: (S,) of the candidates, fitted on val.
        weights: (S,) of the logarithms of their probabilities, of sum 1.
        temperature: Of their mixture, fitted on val too: what agrees may be surer than its parts.
    """

    candidates: tuple[Candidate, ...]
    rejected: tuple[Rejected, ...]
    temperatures: tuple[float, ...]
    weights: Shares
    temperature: float = 1.0

    @cached_property
    def logs(self) -> dict[str, Shares]:
        """(S, N, K) logarithms of calibrated probabilities, on val and on test."""
        return {
            part: log_probabilities(
                [getattr(each, part) for each in self.candidates], self.temperatures
            )
            for part in SPLITS
        }

    @cached_property
    def tested(self) -> ScoreTable:
        """The clips of test, in the order of all that is said of them here."""
        return fuse([each.test for each in self.candidates])

    @property
    def members(self) -> list[int]:
        """The candidates that count, the heaviest first."""
        order = np.argsort(-self.weights, kind="stable")
        return [int(at) for at in order if self.weights[at]]

    @property
    def best(self) -> int:
        """The candidate that is best alone, on val."""
        return int(np.argmax([top1(each.val) for each in self.candidates]))

    def labels(self, part: str) -> NDArray[np.int64]:
        table: ScoreTable = getattr(self.candidates[0], part)
        return table.labels

    def mixed(self, part: str, weights: Shares | None = None) -> Shares:
        """(N, K) probabilities of a mixture of the candidates; None: the ensemble's, calibrated."""
        given = self.weights if weights is None else weights / weights.sum()
        warmth = self.temperature if weights is None else 1.0
        mixture: Shares = softmax(np.tensordot(given, self.logs[part], 1) / warmth, axis=1)
        return mixture

    def right(self, part: str, weights: Shares | None = None) -> NDArray[np.bool_]:
        """(N,) which clips a mixture has right."""
        found: NDArray[np.bool_] = self.mixed(part, weights).argmax(1) == self.labels(part)
        return found

    def alone(self, at: int) -> Shares:
        """All weight on one candidate."""
        only = np.zeros(len(self.candidates))
        only[at] = 1.0
        return only

    def against_best(self) -> Paired:
        """The ensemble and the best single network on the clips of test."""
        return mcnemar(self.right("test"), self.right("test", self.alone(self.best)))

    @cached_property
    def leaderboard(self) -> list[Entry]:
        """The ensemble, what it has to beat, and every candidate alone."""
        everyone = np.ones(len(self.candidates))
        rows = [
            self._mixture(ENSEMBLE, self.weights),
            self._mixture(f"{BEST}: {self.candidates[self.best].name}", self.alone(self.best)),
            self._mixture(EQUAL, everyone),
            *self._of_streams(),
        ]
        singles = [self._mixture(c.name, self.alone(at)) for at, c in enumerate(self.candidates)]
        return rows + sorted(singles, key=lambda entry: -entry.val_top1)

    def growing(self) -> list[tuple[float, float]]:
        """Top-1 on val and test of the heaviest member, of the two heaviest, and so on."""
        return [
            (float(self.right("val", some).mean()), float(self.right("test", some).mean()))
            for some in (self._heaviest(count) for count in range(1, len(self.members) + 1))
        ]

    def _heaviest(self, count: int) -> Shares:
        kept = np.zeros(len(self.weights))
        kept[self.members[:count]] = self.weights[self.members[:count]]
        return kept

    def _mixture(self, name: str, weights: Shares) -> Entry:
        right = self.right("test", weights)
        return Entry(
            name,
            int((weights > 0).sum()),
            float(self.right("val", weights).mean()),
            float(right.mean()),
            interval(right),
            share_without_copies(self.tested, right),
        )

    def _of_streams(self) -> list[Entry]:
        """The best run's four streams, and the best four with the video that they guided."""
        by_run: dict[str, dict[str, Candidate]] = {}
        for each in self.candidates:
            by_run.setdefault(each.run, {})[each.member] = each
        fours = {
            run: [members[m] for m in MODALITIES]
            for run, members in by_run.items()
            if members.keys() >= set(MODALITIES)
        }
        fives = {
            run: [*fours[members[VIDEO].guide], members[VIDEO]]
            for run, members in by_run.items()
            if VIDEO in members and members[VIDEO].guide in fours
        }
        entries = []
        for what, sets in (("4 streams", fours), ("4 streams and video", fives)):
            found = [self._equal(f"best {what}: {run}", networks) for run, networks in sets.items()]
            entries += sorted(found, key=lambda entry: -entry.val_top1)[:1]
        return entries

    def _equal(self, name: str, networks: Sequence[Candidate]) -> Entry:
        """As the field fuses: the sum of the logits."""
        val, test = (fuse([getattr(n, part) for n in networks]) for part in SPLITS)
        found = right(test)
        return Entry(
            name,
            len(networks),
            top1(val),
            top1(test),
            interval(found),
            top1_without_copies(test),
        )


def make_ensemble(
    candidates: Sequence[Candidate], rejected: Sequence[Rejected], config: SelectionConfig
) -> Ensemble:
    """Calibrates and selects, on val alone.

    Raises InputError where the candidates do not belong together.
    """
    vals = [each.val for each in candidates]
    temperatures = tuple(fit_temperature(val) for val in vals)
    logs_snk = log_probabilities(vals, temperatures)
    weights = select(logs_snk, vals[0].labels, config)
    mixed = replace(vals[0], logits=np.tensordot(weights, logs_snk, 1).astype(np.float32))
    return Ensemble(
        tuple(candidates), tuple(rejected), temperatures, weights, fit_temperature(mixed)
    )
