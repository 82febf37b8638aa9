"""An ensemble of networks: calibrated and selected on validation, reported once on test."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from hhmnet_core.fusion.align import fuse
from hhmnet_core.fusion.compare import PairedComparison, bootstrap_interval, mcnemar
from hhmnet_core.fusion.metrics import (
    accuracy_without_copies,
    is_correct,
    top1,
    top1_without_copies,
)
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.selection import SelectionConfig, log_probabilities, select_weights
from hhmnet_core.fusion.shrinkage import ChoiceBasis, ValScores, choose_on, consider
from hhmnet_core.fusion.weight_fitting import fit_temperature
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.fusion.candidates import Candidate, LeftOut
from hhmnet_platform.members import VIDEO
from hhmnet_platform.storage.scores import SPLITS

Float64Array = NDArray[np.float64]
ENSEMBLE, EQUAL, BEST_SINGLE = "ensemble", "all, equal weights", "best single"


@dataclass(frozen=True)
class Entry:
    """A row of the leaderboard.

    Attributes:
        name: Its name.
        members: Number of networks.
        val_top1: Top-1 on validation, a share of 1.
        test_top1: Top-1 on test.
        interval: 95 % interval of the top-1 on test, by bootstrap over clips.
        test_top1_without_copies: Top-1 on the test clips that no network was trained on or
            selected by. None where that is all of them, or none.
    """

    name: str
    members: int
    val_top1: float
    test_top1: float
    interval: tuple[float, float]
    test_top1_without_copies: float | None


@dataclass(frozen=True)
class Ensemble:
    """A selected ensemble, and all that it was selected from.

    Attributes:
        candidates: Networks that it was selected from.
        left_out: Networks and clips that are not among the candidates.
        temperatures: (S,) temperatures of the candidates, fitted on validation.
        weights: (S,) weights of the logarithms of their probabilities, of sum 1.
        temperature: Temperature of their mixture, fitted on validation too: where members agree,
            the mixture may be more certain than each of them.
        basis: Basis of the choice of the weights.
    """

    candidates: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...]
    temperatures: tuple[float, ...]
    weights: Float64Array
    temperature: float = 1.0
    basis: ChoiceBasis | None = None

    @cached_property
    def logs(self) -> dict[str, Float64Array]:
        """(S, N, K) logarithms of calibrated probabilities, by split."""
        return {
            split: log_probabilities(
                [each.scores(split) for each in self.candidates], self.temperatures
            )
            for split in SPLITS
        }

    @cached_property
    def test_clips(self) -> ScoreTable:
        """The test clips, in the order of all results on test."""
        return fuse([each.test for each in self.candidates])

    @property
    def members(self) -> list[int]:
        """Indices of the candidates with a weight, the heaviest first."""
        order = np.argsort(-self.weights, kind="stable")
        return [int(at) for at in order if self.weights[at]]

    @property
    def best_single(self) -> int:
        """Index of the candidate that is best on validation."""
        return int(np.argmax([top1(each.val) for each in self.candidates]))

    @property
    def equal(self) -> Float64Array:
        """(S,) weights of the mixture that is the mean of the raw logits."""
        return np.array(self.temperatures) / sum(self.temperatures)

    @property
    def shares(self) -> Float64Array:
        """(S,) shares of the candidates' raw logits in the mixture, of sum 1."""
        raw = self.weights / np.array(self.temperatures)
        shares: Float64Array = raw / raw.sum()
        return shares

    def labels(self, split: str) -> NDArray[np.int64]:
        """Return (N,) true classes."""
        return self.candidates[0].scores(split).labels

    def mixture(self, split: str, weights: Float64Array | None = None) -> Float64Array:
        """Return (N, K) probabilities of a mixture of candidates. None: the ensemble's."""
        shares = self.weights if weights is None else weights / weights.sum()
        temperature = self.temperature if weights is None else 1.0
        logs = np.tensordot(shares, self.logs[split], 1)
        probabilities: Float64Array = softmax(logs / temperature, axis=1)
        return probabilities

    def is_right(self, split: str, weights: Float64Array | None = None) -> NDArray[np.bool_]:
        """Return (N,) which clips a mixture classifies correctly."""
        correct: NDArray[np.bool_] = self.mixture(split, weights).argmax(1) == self.labels(split)
        return correct

    def only(self, candidate: int) -> Float64Array:
        """Return (S,) weights of one candidate alone."""
        weights = np.zeros(len(self.candidates))
        weights[candidate] = 1.0
        return weights

    def against_best_single(self) -> PairedComparison:
        """Compare the ensemble with the best single network on test."""
        single = self.is_right("test", self.only(self.best_single))
        return mcnemar(self.is_right("test"), single)

    @cached_property
    def leaderboard(self) -> list[Entry]:
        """The ensemble, what it is compared with, and every candidate."""
        best = self.best_single
        compared = [
            self._mixture_entry(ENSEMBLE, self.weights),
            self._mixture_entry(f"{BEST_SINGLE}: {self.candidates[best].name}", self.only(best)),
            self._mixture_entry(EQUAL, self.equal),
            *self._stream_entries(),
        ]
        singles = [
            self._mixture_entry(each.name, self.only(at)) for at, each in enumerate(self.candidates)
        ]
        return compared + sorted(singles, key=lambda entry: -entry.val_top1)

    def growing(self) -> list[tuple[float, float]]:
        """Return top-1 on val and test of the heaviest member, the two heaviest, and so on."""
        accuracies = []
        for count in range(1, len(self.members) + 1):
            weights = np.zeros(len(self.weights))
            weights[self.members[:count]] = self.weights[self.members[:count]]
            val, test = (self.is_right(split, weights).mean() for split in SPLITS)
            accuracies.append((float(val), float(test)))
        return accuracies

    def _mixture_entry(self, name: str, weights: Float64Array) -> Entry:
        correct = self.is_right("test", weights)
        return Entry(
            name,
            int((weights > 0).sum()),
            float(self.is_right("val", weights).mean()),
            float(correct.mean()),
            bootstrap_interval(correct),
            accuracy_without_copies(self.test_clips, correct),
        )

    def _stream_entries(self) -> list[Entry]:
        """Return fusions of the best run's four streams, without and with the video they guided."""
        by_run: dict[str, dict[str, Candidate]] = {}
        for each in self.candidates:
            by_run.setdefault(each.run, {})[each.member] = each
        fours = {
            run: [members[modality] for modality in MODALITIES]
            for run, members in by_run.items()
            if members.keys() >= set(MODALITIES)
        }
        fives = {
            run: [*fours[members[VIDEO].guide], members[VIDEO]]
            for run, members in by_run.items()
            if VIDEO in members and members[VIDEO].guide in fours
        }
        entries = []
        for kind, sets in (("4 streams", fours), ("4 streams and video", fives)):
            rows = [_equal_entry(f"best {kind}: {run}", networks) for run, networks in sets.items()]
            entries += sorted(rows, key=lambda entry: -entry.val_top1)[:1]
        return entries


def _equal_entry(name: str, networks: Sequence[Candidate]) -> Entry:
    """Return the entry of a sum of logits, by which the field fuses streams."""
    val, test = (fuse([each.scores(split) for each in networks]) for split in SPLITS)
    correct = is_correct(test)
    return Entry(
        name,
        len(networks),
        top1(val),
        top1(test),
        bootstrap_interval(correct),
        top1_without_copies(test),
    )


def make_ensemble(
    candidates: Sequence[Candidate], left_out: Sequence[LeftOut], config: SelectionConfig
) -> Ensemble:
    """Calibrate candidates and select an ensemble, on validation only.

    Raises InputError where the candidates do not belong together.
    """
    vals = [each.val for each in candidates]
    temperatures = np.array([fit_temperature(val) for val in vals])
    logs_snk = log_probabilities(vals, temperatures.tolist())
    greedy = select_weights(logs_snk, vals[0].labels, config)
    scores = ValScores(vals)
    choice = consider(scores, choose_on(scores), greedy / temperatures)
    weights = choice.weights * temperatures
    weights /= weights.sum()
    mixture = replace(vals[0], logits=np.tensordot(weights, logs_snk, 1).astype(np.float32))
    return Ensemble(
        tuple(candidates),
        tuple(left_out),
        tuple(temperatures.tolist()),
        weights,
        fit_temperature(mixture),
        choice.basis,
    )
