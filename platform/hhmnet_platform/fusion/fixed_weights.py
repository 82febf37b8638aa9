"""Finished runs fused by weights that nothing chose, whatever the runs were selected by."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from hhmnet_core.fusion.compare import interval
from hhmnet_core.fusion.scores import ScoreTable, fuse, right, shared, top1, top1_without_copies
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.fusion.weightings import EQUAL, FIELD
from hhmnet_platform.labels import WITHOUT_COPIES_HEADING, copies_note, not_filmed_note, percent
from hhmnet_platform.members import VIDEO
from hhmnet_platform.storage.finished_run import finished_runs
from hhmnet_platform.storage.workspace import Workspace, absolute_uri, default_workspace

Networks = Mapping[tuple[str, str], ScoreTable]


@dataclass
class FixedFusion:
    """Runs to fuse.

    Attributes:
        runs: Finished runs of the workspace; all that they trained is fused.
        workspace: Folder or URI that holds them; $HHMNET_WORKSPACE if set.
    """

    runs: list[str] = field(default_factory=list)
    workspace: str = field(default_factory=default_workspace)


def run_fixed_fusion(job: FixedFusion) -> None:
    """Prints what each network and each fixed fusion has on test; writes nothing.

    Raises InputError for anything the user can cause.
    """
    workspace = Workspace(absolute_uri(job.workspace))
    networks: Networks = {
        (run.name, member): run.scores(member, "test")
        for run in finished_runs(workspace, job.runs)
        for member in run.networks
    }
    console = Console(highlight=False, soft_wrap=True)
    console.print(fixed_table(networks))


def fixed_table(networks: Networks) -> Table:
    """Each network alone, each run, and all of them fused, on the test clips that all have.

    Raises InputError where they are not of the same data.
    """
    films = [table for (_, member), table in networks.items() if member == VIDEO]
    most = max(map(len, networks.values()))
    if films:  # which have no scores of clips without a video; any other difference is refused
        filmed = shared(films)[0]
        networks = {each: shared([filmed, table])[1] for each, table in networks.items()}
    everything = fuse(list(networks.values()))
    copies = len(everything.copies)
    table = Table(title=f"fusions by fixed weights, {len(everything)} clips of test")
    notes = [copies_note(copies), not_filmed_note(most - len(everything))]
    table.caption = "\n".join(filter(None, notes)) or None
    table.add_column("", overflow="fold")
    for name in ("test top-1", "95 %", *([WITHOUT_COPIES_HEADING] if copies else [])):
        table.add_column(name, justify="right")

    def add(name: str, fused: ScoreTable, last: bool = False) -> None:
        low, high = interval(right(fused))
        cells = [percent(top1(fused)), f"{low:.1%} to {high:.1%}"]
        without = [percent(top1_without_copies(fused))] if copies else []
        table.add_row(name, *cells, *without, end_section=last)

    *_, final = networks
    for network, scores in networks.items():
        add("/".join(network), scores, network == final)
    runs = list(dict.fromkeys(run for run, _ in networks))
    for run in runs if len(runs) > 1 else ():
        add(f"{run}, equal", fuse([scores for (of, _), scores in networks.items() if of == run]))
    add(f"all, {EQUAL}" if len(runs) > 1 else EQUAL, everything)
    if not films:
        for name, weights in FIELD.items():
            by_member = dict(zip(MODALITIES, weights, strict=True))
            fused = fuse(list(networks.values()), [by_member[member] for _, member in networks])
            add(f"all, {name}" if len(runs) > 1 else name, fused)
    return table
