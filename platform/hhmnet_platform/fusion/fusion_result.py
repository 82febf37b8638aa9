"""The result of a search for fusion weights, its file fusion.json, and its table."""

from dataclasses import dataclass

from rich.table import Table

from hhmnet_core.fusion.shrinkage import ChoiceBasis
from hhmnet_core.identity import later
from hhmnet_platform.fusion.weightings import SEARCHED, WeightedFusion
from hhmnet_platform.presentation.labels import WITHOUT_COPIES_HEADING, copies_note, percent
from hhmnet_platform.storage.record_files import parse_record

FILE = "fusion.json"


@dataclass(frozen=True)
class SearchSettings:
    """Settings of a search, as its file holds them.

    Attributes:
        runs: Names of the runs whose networks were fused.
        workspace: Folder or URI of the workspace.
        trials: Number of studies.
        evaluations: Weightings tried by each study.
        seed: Seed of the first study.
        tracking_uri: MLflow tracking URI as it was given.
        folds: Number of folds for scores out of fold. None: scores on validation.
    """

    runs: list[str]
    workspace: str
    trials: int
    evaluations: int
    seed: int
    tracking_uri: str
    folds: int | None = None


@dataclass(frozen=True)
class FusionResult:
    """The result of a search for fusion weights.

    Attributes:
        search: Settings of the search.
        digest: Digest of the data, sha256 in hex.
        scores: Digest of all score tables.
        clips: Number of clips by split.
        copies: Number of test clips that copy a clip of training or validation.
        fusions: Fusions by name. "searched" is the one that was chosen.
        basis: Basis of the choice. None in files of earlier versions, which chose the weights
            of the highest top-1 on val.
    """

    search: SearchSettings
    digest: str
    scores: str
    clips: dict[str, int]
    copies: int
    fusions: dict[str, WeightedFusion]
    basis: ChoiceBasis | None = later(None)

    @property
    def searched(self) -> WeightedFusion:
        return self.fusions[SEARCHED]


def parse_fusion(content: bytes, source: str) -> FusionResult:
    """Return the result that a fusion.json of this or an earlier version holds.

    Args:
        content: The file's content.
        source: The file's URI, for the error message.

    Raises:
        InputError: Not a JSON object, or a field that is missing or of the wrong kind.
    """
    return parse_record(FusionResult, content, source, "the search's command again")


def fusion_table(result: FusionResult) -> Table:
    """Return the table of all fusions, for the terminal."""
    on = "val, out of fold," if result.search.folds else "val"
    clips = result.clips
    table = Table(title=f"fusions, {clips['val']} clips of {on} and {clips['test']} of test")
    chosen = f"Chosen: {result.basis.text}" if result.basis else ""
    table.caption = "\n".join(filter(None, [chosen, copies_note(result.copies)])) or None
    table.add_column("weights", overflow="fold")  # long names are not cut off
    heads = ["val top-1", "test top-1", "95 %", *([WITHOUT_COPIES_HEADING] * bool(result.copies))]
    for name in heads:
        table.add_column(name, justify="right")
    for name, fusion in result.fusions.items():
        low, high = fusion.interval
        cells = [percent(fusion.val_top1), percent(fusion.test_top1), f"{low:.1%} to {high:.1%}"]
        if result.copies:
            cells.append(percent(fusion.test_top1_without_copies))
        table.add_row(name, *cells, style="bold" if name == SEARCHED else None)
    return table
