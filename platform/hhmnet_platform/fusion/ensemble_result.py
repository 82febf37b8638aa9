"""The result of an ensemble selection, its file ensemble.json, and its table."""

from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from hhmnet_core.fusion.compare import PairedComparison
from hhmnet_core.fusion.selection import SelectionConfig
from hhmnet_core.fusion.shrinkage import ChoiceBasis
from hhmnet_core.identity import JsonObject, identity, later
from hhmnet_platform.fusion.candidates import LeftOut
from hhmnet_platform.fusion.ensemble import EQUAL, Ensemble, Entry
from hhmnet_platform.presentation.labels import WITHOUT_COPIES_HEADING, copies_note, percent
from hhmnet_platform.storage.record_files import parse_record

FILE = "ensemble.json"
MIXTURE = (
    "softmax(sum over members of weight * log_softmax(logits / temperature), "
    "divided by the mixture's temperature)"
)


@dataclass(frozen=True)
class Member:
    """A network of an ensemble.

    Attributes:
        run: Name of its run.
        member: Modality, or "video".
        run_id: Its MLflow run.
        weight: Weight of the logarithms of its probabilities.
        temperature: Temperature of its logits.
    """

    run: str
    member: str
    run_id: str
    weight: float
    temperature: float

    @property
    def name(self) -> str:
        return f"{self.run}/{self.member}"


@dataclass(frozen=True)
class EnsembleResult:
    """The result of an ensemble selection: enough to rebuild the ensemble without MLflow.

    Attributes:
        experiment: MLflow experiment that it was selected from.
        filter: MLflow search filter. "" for all runs.
        selection: Settings of the selection.
        digest: Digest of the data, sha256 in hex.
        class_names: Names of the classes.
        clips: Number of clips by split.
        copies: Number of test clips that copy a clip of training or validation.
        mixture: Formula of the mixture.
        mixture_temperature: Temperature of the mixture.
        members: Networks, the heaviest first.
        leaderboard: The ensemble, what it is compared with, and every candidate.
        against_best_single: Comparison with the best single network on test.
        rejected: Networks and clips that are not among the candidates.
        basis: Basis of the choice of the weights. None in files of earlier versions, which
            took what the greedy selection found.
    """

    experiment: str
    filter: str
    selection: SelectionConfig
    digest: str
    class_names: tuple[str, ...]
    clips: dict[str, int]
    copies: int
    mixture: str
    mixture_temperature: float
    members: tuple[Member, ...]
    leaderboard: tuple[Entry, ...]
    against_best_single: PairedComparison
    rejected: tuple[LeftOut, ...]
    basis: ChoiceBasis | None = later(None)

    @property
    def compared(self) -> list[Entry]:
        """The rows of the leaderboard that are not single candidates."""
        return [entry for entry in self.leaderboard if " " in entry.name or "/" not in entry.name]

    @property
    def equal(self) -> Entry:
        """The row of all candidates with equal weights."""
        return next(entry for entry in self.leaderboard if entry.name == EQUAL)

    def identity(self) -> JsonObject:
        """Return the values that the ensemble's name is derived from."""
        return {
            "experiment": self.experiment,
            "filter": self.filter,
            "selection": identity(self.selection),
            "digest": self.digest,
            "members": [asdict(member) for member in self.members],
        }


def summarise_ensemble(
    ensemble: Ensemble, experiment: str, filter_string: str, selection: SelectionConfig
) -> EnsembleResult:
    """Return the result of a selection.

    Args:
        ensemble: The ensemble.
        experiment: MLflow experiment that it was selected from.
        filter_string: MLflow search filter. "" for all runs.
        selection: Settings of the selection.
    """
    first = ensemble.candidates[0]
    return EnsembleResult(
        experiment=experiment,
        filter=filter_string,
        selection=selection,
        digest=first.val.digest,
        class_names=first.val.class_names,
        clips={"val": len(first.val), "test": len(first.test)},
        copies=len(ensemble.test_clips.copies),
        mixture=MIXTURE,
        mixture_temperature=ensemble.temperature,
        members=tuple(
            Member(
                run=ensemble.candidates[at].run,
                member=ensemble.candidates[at].member,
                run_id=ensemble.candidates[at].run_id,
                weight=float(ensemble.weights[at]),
                temperature=ensemble.temperatures[at],
            )
            for at in ensemble.members
        ),
        leaderboard=tuple(ensemble.leaderboard),
        against_best_single=ensemble.against_best_single(),
        rejected=ensemble.left_out,
        basis=ensemble.basis,
    )


def parse_ensemble(content: bytes, source: str) -> EnsembleResult:
    """Return the result that an ensemble.json of this or an earlier version holds.

    Args:
        content: The file's content.
        source: The file's URI, for the error message.

    Raises:
        InputError: Not a JSON object, or a field that is missing or of the wrong kind.
    """
    return parse_record(EnsembleResult, content, source, "the ensemble's command again")


def print_ensemble(result: EnsembleResult, name: str) -> None:
    """Print the leaderboard without single candidates, and what was left out."""
    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    table = Table(title=name, caption=copies_note(result.copies))
    for at, heading in enumerate(leaderboard_headings(result)):
        # Long names fold in a narrow terminal, they are not cut off.
        table.add_column(heading, justify="right" if at else "left", overflow="fold")
    for at, entry in enumerate(result.compared):
        table.add_row(*leaderboard_cells(result, entry), style=None if at else "bold")
    console.print(table)
    if result.basis:
        console.print(f"Chosen: {result.basis.text}")
    paired = result.against_best_single
    console.print(
        f"Against the best single network: {paired.gained} clips gained, {paired.lost} lost, "
        f"p = {paired.p_value:.2g}"
    )
    for each in result.rejected:
        console.print(f"left out: {each.name} {each.reason}", markup=False)


def leaderboard_headings(result: EnsembleResult) -> list[str]:
    """Return the column headings of the leaderboard."""
    headings = ["", "networks", "val top-1", "test top-1", "95 % of test"]
    return headings + ([WITHOUT_COPIES_HEADING] if result.copies else [])


def leaderboard_cells(result: EnsembleResult, entry: Entry) -> list[str]:
    """Return the cells of a row of the leaderboard."""
    low, high = entry.interval
    shares = [percent(entry.val_top1), percent(entry.test_top1), f"{low:.1%} to {high:.1%}"]
    if result.copies:
        shares.append(percent(entry.test_top1_without_copies))
    return [entry.name, str(entry.members), *shares]
