"""Outcomes of an ablation's runs, and the file that holds one a line."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from hhmnet_core.errors import InputError
from hhmnet_core.from_json import from_json
from hhmnet_core.fusion.metrics import top1, top1_without_copies
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.weight_fitting import log_loss
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.storage.line_files import Uri, read_lines

WITHOUT_COPIES = " without copies"  # after the name of a member


@dataclass(frozen=True)
class Scores:
    """Scores of one network, or of several, on the same clips.

    Attributes:
        top1: Top-1 by member, as shares of 1. Where clips copy training clips, also without them.
        log_loss: Mean negative log-likelihood of the labels by member, in nats.
    """

    top1: dict[str, float]
    log_loss: dict[str, float]


@dataclass(frozen=True)
class Outcome:
    """Scores of one run.

    Attributes:
        variant: Name of the variant.
        seed: Random seed of the run.
        config: Identity of its config.
        digest: Digest of the store, sha256 in hex.
        top1: Top-1 by member, as shares of 1. Where scored clips copy training clips, also without
            them.
        log_loss: Log-loss by member, in nats. Empty in files of earlier versions.
        bench: Name of the bench. Empty without a list of benches.
        modalities: Modalities that were trained together in phase 1.
        split: Scored split: "test", or "val" where a fold is held out.
        seconds: CPU time of the training, which other work on the machine does not lengthen.
        knock_outs: Scores with a part of the trained encoders switched off, by name of the part.
    """

    variant: str
    seed: int
    config: dict[str, object]
    digest: str
    top1: dict[str, float]
    log_loss: dict[str, float] = field(default_factory=dict)
    bench: str = ""
    modalities: list[str] = field(default_factory=lambda: list(MODALITIES))
    split: str = "test"
    seconds: float = 0.0
    knock_outs: dict[str, Scores] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, int]:
        """The place of the run in a grid: variant, bench and seed."""
        return self.variant, self.bench, self.seed


def scores_of(tables: Mapping[str, ScoreTable]) -> Scores:
    """Return top-1 and log-loss of tables by member; the last one also without copies, if any."""
    accuracies = {name: top1(table) for name, table in tables.items()}
    losses = {name: log_loss(table.logits, table.labels) for name, table in tables.items()}
    last, table = list(tables.items())[-1]
    novel = top1_without_copies(table)
    if novel is not None:
        accuracies[f"{last}{WITHOUT_COPIES}"] = novel
    return Scores(accuracies, losses)


def read_outcomes(file: Uri) -> list[Outcome]:
    """Return the outcomes in a file, an empty list where there is no file.

    A last line that was cut off is removed, with a notice.
    """
    outcomes = []
    for number, record in enumerate(read_lines(file, b'{"variant":'), start=1):
        try:
            outcomes.append(from_json(Outcome, record))
            _check_scores(outcomes[-1])
        except InputError as error:
            raise InputError(
                f"{file} is not a file of outcomes (line {number}: {error}): give another with "
                "--out."
            ) from error
    return outcomes


def _check_scores(outcome: Outcome) -> None:
    """Check that scores can be what they are called. Raises InputError if not."""
    for scores in (Scores(outcome.top1, outcome.log_loss), *outcome.knock_outs.values()):
        for member, share in scores.top1.items():
            if not 0 <= share <= 1:
                raise InputError(f"top1 of {member} is {share}, expected 0 to 1")
        for member, loss in scores.log_loss.items():
            if not 0 <= loss < math.inf:
                raise InputError(f"log_loss of {member} is {loss}, expected a number from 0 on")
