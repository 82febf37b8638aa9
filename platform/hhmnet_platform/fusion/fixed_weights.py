"""Fusing finished runs with fixed weights, with or without a validation split."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from hhmnet_core.fusion.align import fuse, keep_shared_clips
from hhmnet_core.fusion.compare import bootstrap_interval
from hhmnet_core.fusion.metrics import is_correct, top1, top1_without_copies
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.fusion.weightings import EQUAL, FIELD
from hhmnet_platform.members import VIDEO
from hhmnet_platform.presentation.labels import (
    WITHOUT_COPIES_HEADING,
    copies_note,
    not_filmed_note,
    percent,
)
from hhmnet_platform.storage.finished_run import finished_runs
from hhmnet_platform.storage.workspace import Workspace, absolute_uri, default_workspace

Networks = Mapping[tuple[str, str], ScoreTable]  # test tables by run and member


@dataclass
class FixedFusion:
    """Runs to fuse with fixed weights.

    Attributes:
        runs: Names of finished runs in the workspace, such as a b. All their networks are fused.
        workspace: Folder or URI of the workspace. Default: $HHMNET_WORKSPACE, else `workspace`.
    """

    runs: list[str] = field(default_factory=list)
    workspace: str = field(default_factory=default_workspace)


def run_fixed_fusion(job: FixedFusion) -> None:
    """Print the test accuracy of each network and of each fixed fusion. Writes nothing.

    Raises InputError for anything the user can cause.
    """
    workspace = Workspace(absolute_uri(job.workspace))
    networks: Networks = {
        (run.name, member): run.scores(member, "test")
        for run in finished_runs(workspace, job.runs)
        for member in run.networks
    }
    Console(markup=False, emoji=False, highlight=False, soft_wrap=True).print(fixed_table(networks))


def fixed_table(networks: Networks) -> Table:
    """Return a table of each network, each run, and all of them fused, on their shared test clips.

    Raises InputError where their data differ.
    """
    video = [table for (_, member), table in networks.items() if member == VIDEO]
    most = max(map(len, networks.values()))
    if video:  # clips without video have no scores of it; any other difference is refused
        filmed = keep_shared_clips(video)[0]
        networks = {each: keep_shared_clips([filmed, table])[1] for each, table in networks.items()}
    fusions = _fixed_fusions(networks, has_video=bool(video))
    fused = fuse(list(networks.values()))
    copies = len(fused.copies)
    table = Table(title=f"fusions by fixed weights, {len(fused)} clips of test")
    notes = [copies_note(copies), not_filmed_note(most - len(fused))]
    table.caption = "\n".join(filter(None, notes)) or None
    table.add_column("", overflow="fold")
    for name in ("test top-1", "95 %", *([WITHOUT_COPIES_HEADING] if copies else [])):
        table.add_column(name, justify="right")
    rows = {"/".join(network): scores for network, scores in networks.items()} | fusions
    for at, (name, scores) in enumerate(rows.items(), start=1):
        low, high = bootstrap_interval(is_correct(scores))
        cells = [percent(top1(scores)), f"{low:.1%} to {high:.1%}"]
        without = [percent(top1_without_copies(scores))] if copies else []
        table.add_row(name, *cells, *without, end_section=at == len(networks))
    return table


def _fixed_fusions(networks: Networks, has_video: bool) -> dict[str, ScoreTable]:
    """Return the fusions by name: of each run, where there are several, and of all networks."""
    runs = list(dict.fromkeys(run for run, _ in networks))
    tables = list(networks.values())
    prefix = "all, " if len(runs) > 1 else ""
    fusions = {}
    for run in runs if len(runs) > 1 else ():
        own = [table for (run_of, _), table in networks.items() if run_of == run]
        fusions[f"{run}, equal"] = fuse(own)
    fusions[f"{prefix}{EQUAL}"] = fuse(tables)
    if not has_video:
        for name, weights in FIELD.items():
            by_member = dict(zip(MODALITIES, weights, strict=True))
            fusions[f"{prefix}{name}"] = fuse(tables, [by_member[m] for _, m in networks])
    return fusions
