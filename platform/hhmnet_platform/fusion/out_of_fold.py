"""Scores out of fold: what networks say of every training clip, by twins that had not seen it.

For data too small to set a val part aside. A run that was trained on all training clips gets K
twins of its own config, each trained without one fold of the subjects; what the twins say of the
clips that they have not seen is what weights are fitted on, and the run itself is what they are of.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import stacked
from hhmnet_core.store.protocols import LITERATURE, VAL, fold_selection
from hhmnet_platform.cli import parse_config
from hhmnet_platform.fusion.candidates import Candidate
from hhmnet_platform.members import TRAINED
from hhmnet_platform.overrides import apply_overrides
from hhmnet_platform.runs.config import Job, Phase1Job, Phase2Job
from hhmnet_platform.runs.launch import run_phase
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.storage.scores import load_scores
from hhmnet_platform.storage.workspace import Workspace, local_copy
from hhmnet_platform.tracking import tags

FEWEST, MOST = 2, 100


def check_folds(folds: int | None) -> None:
    """Raises InputError for a number of folds that there cannot be."""
    if folds is not None and not FEWEST <= folds <= MOST:
        raise InputError(f"folds must be {FEWEST} to {MOST}, but is {folds}.")


def out_of_fold(
    workspace: Workspace, names: Sequence[str], folds: int, tracking_uri: str
) -> list[Candidate]:
    """What finished runs have trained, scored on test by themselves and on val by their twins.

    Twins that are not there yet are trained, and go on where they stopped.

    Args:
        workspace: Where the runs are, and their twins go.
        names: Of finished runs of selection literature.
        folds: K, of the training subjects.
        tracking_uri: Of MLflow; "" for the database in the workspace.

    Raises InputError where a run was not trained on all training clips, or cannot be folded.
    """
    runs = [workspace.run(name) for name in names]
    for run in runs:
        if (selection := run.result()["selection"]) != LITERATURE:
            raise InputError(
                f"Run {run.name} was trained with selection {selection}: --folds is for runs of "
                f"selection {LITERATURE}, which were trained on all training clips."
            )
    guides = [workspace.run(job.phase1) for job in map(_job_of, runs) if isinstance(job, Phase2Job)]
    first, second = (
        [run for run in {r.name: r for r in [*guides, *runs]}.values() if _phase(run) == phase]
        for phase in TRAINED
    )
    twins: dict[str, list[RunFolder]] = {run.name: [] for run in [*first, *second]}
    for fold in range(1, folds + 1):
        for run in [*first, *second]:
            print(f"\nfold {fold} of {folds}, the twin of {run.name}", flush=True)
            twin = apply_overrides(
                _job_of(run),
                {
                    "workspace": workspace.uri,
                    "name": "",
                    "tracking_uri": tracking_uri,
                    "data.selection": fold_selection(fold, folds),
                },
            )
            if isinstance(twin, Phase2Job):
                twin = replace(twin, phase1=twins[twin.phase1][-1].name)
            twins[run.name].append(workspace.run(run_phase(twin)))
    return [
        Candidate(
            run=run.name,
            member=member,
            val=stacked([load_scores(twin, member, VAL) for twin in twins[run.name]]),
            test=load_scores(run, member, "test"),
            phase=_phase(run),
            guide=run.result()["tags"].get(tags.GUIDE, ""),
        )
        for run in runs
        for member in TRAINED[_phase(run)]
    ]


def _phase(run: RunFolder) -> str:
    return str(run.result()["phase"])


def _job_of(run: RunFolder) -> Job:
    """What the run was asked for, with the name of its guide."""
    kind: type[Job] = Phase1Job if _phase(run) == "phase1" else Phase2Job
    with ExitStack() as stack:
        config = local_copy(run.uri, stack, ["config.yaml"]) / "config.yaml"
        job = parse_config("config.yaml", None, kind, ["--config", str(config)])
    if isinstance(job, Phase2Job):
        return replace(job, phase1=run.result()["tags"][tags.GUIDE])
    return job
