"""Scores out of fold: scores of every training clip by networks that were not trained on it.

For data too small to hold a validation split out. A run that was trained on all training clips is
trained again K times, each time without one fold of the subjects; weights are fitted on the scores
of the clips that were left out, and applied to the run itself.
"""

from collections.abc import Sequence
from contextlib import ExitStack

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import concatenate
from hhmnet_core.store.protocols import LITERATURE, VAL, fold_selection
from hhmnet_platform.fusion.candidates import Candidate
from hhmnet_platform.overrides import apply_overrides
from hhmnet_platform.runs.config import Job
from hhmnet_platform.runs.launch import run_phase
from hhmnet_platform.runs.phases import PHASES, AnyPhase
from hhmnet_platform.scripts.cli import parse_config
from hhmnet_platform.storage.finished_run import FinishedRun
from hhmnet_platform.storage.run_folder import CONFIG, RunFolder
from hhmnet_platform.storage.scores import load_scores
from hhmnet_platform.storage.workspace import Workspace, local_copy

FEWEST, MOST = 2, 100


def check_folds(folds: int | None) -> None:
    """Raise InputError for an impossible number of folds."""
    if folds is not None and not FEWEST <= folds <= MOST:
        raise InputError(f"folds must be {FEWEST} to {MOST}, but is {folds}.")


def out_of_fold_candidates(
    workspace: Workspace, names: Sequence[str], folds: int, tracking_uri: str
) -> list[Candidate]:
    """Return the networks of runs, with their own scores on test, and scores out of fold as val.

    Runs of folds that do not exist yet are trained, or resumed.

    Args:
        workspace: Workspace of the runs and of the runs of their folds.
        names: Names of finished runs with selection "literature".
        folds: K, number of folds of the training subjects.
        tracking_uri: MLflow tracking URI. "" for the database in the workspace.

    Raises InputError where a run was not trained on all training clips, or cannot be folded.
    """
    runs = [FinishedRun.read(workspace.run(name)) for name in names]
    for run in runs:
        if (selection := run.result.selection) != LITERATURE:
            raise InputError(
                f"Run {run.name} was trained with selection {selection}: --folds is for runs of "
                f"selection {LITERATURE}, which were trained on all training clips."
            )
    fold_runs = _train_folds(workspace, runs, folds, tracking_uri)
    return [
        Candidate(
            run=run.name,
            member=member,
            val=concatenate([load_scores(each, member, VAL) for each in fold_runs[run.name]]),
            test=run.scores(member, "test"),
            phase=run.result.phase,
            guide=run.guide_name,
        )
        for run in runs
        for member in run.networks
    ]


def _train_folds(
    workspace: Workspace, runs: Sequence[FinishedRun], folds: int, tracking_uri: str
) -> dict[str, list[RunFolder]]:
    """Train each run and its guide without each fold; return the runs of the folds, by run."""
    guides = [FinishedRun.read(workspace.run(run.guide_name)) for run in runs if run.guide_name]
    needed = list({run.name: run for run in [*guides, *runs]}.values())
    order = sorted(needed, key=lambda run: bool(run.guide_name))  # guiding runs first
    fold_runs: dict[str, list[RunFolder]] = {run.name: [] for run in order}
    for fold in range(1, folds + 1):
        for run in order:
            print(f"\nfold {fold} of {folds} of {run.name}", flush=True)
            phase = PHASES[run.result.phase]
            job = apply_overrides(
                _job_of(run, phase),
                {
                    "workspace": workspace.uri,
                    "name": "",
                    "tracking_uri": tracking_uri,
                    "data.selection": fold_selection(fold, folds),
                },
            )
            if run.guide_name:
                job = phase.guided_by(job, fold_runs[run.guide_name][-1].name)
            fold_runs[run.name].append(workspace.run(run_phase(job)))
    return fold_runs


def _job_of(run: FinishedRun, phase: AnyPhase) -> Job:
    """Return the job of a run, as its config.yaml holds it."""
    with ExitStack() as stack:
        config = local_copy(run.folder.uri, stack, [CONFIG]) / CONFIG
        job: Job = parse_config(CONFIG, phase.job_type, ["--config", str(config)])
    return job
