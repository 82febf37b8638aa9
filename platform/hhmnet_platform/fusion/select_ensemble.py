"""Selecting an ensemble: its runs from MLflow, its file, its page and its MLflow run."""

import json
from dataclasses import asdict, dataclass, field

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.fusion.selection import SelectionConfig
from hhmnet_core.passwords import without_password
from hhmnet_platform.fusion.candidates import candidates_of_mlflow, untracked_runs
from hhmnet_platform.fusion.ensemble import Ensemble, make_ensemble
from hhmnet_platform.fusion.ensemble_report import html_report
from hhmnet_platform.fusion.ensemble_result import (
    FILE,
    EnsembleResult,
    print_ensemble,
    summarise_ensemble,
)
from hhmnet_platform.fusion.models import ensemble_model, write_combined_model
from hhmnet_platform.hashing import short_hash
from hhmnet_platform.presentation.labels import WITHOUT_COPIES_METRIC, markdown, percent
from hhmnet_platform.storage.record_files import format_record
from hhmnet_platform.storage.workspace import Workspace, absolute_uri, default_workspace
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.derived_runs import (
    DerivedRun,
    find_finished_page,
    replace_derived_run,
)
from hhmnet_platform.tracking.models import Champion, log_derived_model
from hhmnet_platform.tracking.uri import default_tracking

REPORT = "report.html"


@dataclass
class EnsembleJob:
    """An ensemble selection.

    Attributes:
        experiment: MLflow experiment to select from, such as nw_ucla/12-3.
        filter: MLflow search filter, such as "params.seed = '1'". Default: all runs.
        selection: Settings of the selection.
        workspace: Folder or URI for the report. Default: $HHMNET_WORKSPACE, else `workspace`.
        tracking_uri: MLflow tracking URI. Default: $MLFLOW_TRACKING_URI, else an SQLite file in
            the workspace.
    """

    experiment: str = ""
    filter: str = ""
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    workspace: str = field(default_factory=default_workspace)
    tracking_uri: str = field(default_factory=default_tracking)


def run_ensemble(job: EnsembleJob) -> str:
    """Select an ensemble, and write ensemble.json, report.html, its model and an MLflow run.

    Returns the folder of its model, "" for none.

    Raises InputError for anything the user can cause.
    """
    if not job.experiment:
        raise InputError(
            "--experiment is missing: give an MLflow experiment by name; `hhmnet ui` lists them."
        )
    workspace = Workspace(absolute_uri(job.workspace))
    uri = workspace.tracking_uri(job.tracking_uri)
    ensemble = _select(job, workspace, uri)
    result = summarise_ensemble(ensemble, job.experiment, job.filter, job.selection)
    name = f"{job.experiment.split('/')[0]}-ensemble-{short_hash(result.identity())}"
    content = {
        FILE: format_record(result),
        REPORT: html_report(ensemble, result, name).encode(),
    }
    files = folder(workspace.derived("ensembles", name))
    is_known = FILE in files.names() and files.read(FILE) == content[FILE]
    page = find_finished_page(uri, job.experiment, name) if is_known else None
    is_new = page is None
    if page is None:
        for file, written in content.items():
            files.write(file, written)
        page = replace_derived_run(uri, _derived_run(ensemble, result, name, content))
    else:
        print(f"{name} exists already: nothing new was selected.")
    print_ensemble(result, name)
    print(f"Report   {files.uri}/{REPORT}, and {FILE} beside it")
    model, line = write_combined_model(
        files.uri, lambda: ensemble_model(name, ensemble, workspace, uri), is_known
    )
    print(line)
    if model:
        # Of a selection that is only shown again, others may have chosen the champion since.
        champion: Champion = "move" if is_new else "fill"
        print("\n".join(log_derived_model(uri, job.experiment, name, model, champion).lines))
    print(f"MLflow   {without_password(uri)}, run {name}: {page}")
    return model


def _select(job: EnsembleJob, workspace: Workspace, uri: str) -> Ensemble:
    untracked = [] if job.filter else untracked_runs(workspace, job.experiment)
    try:
        candidates, left_out = candidates_of_mlflow(uri, job.experiment, job.filter)
    except InputError as error:
        if not untracked:
            raise
        first = untracked[0]
        more = f" ({len(untracked)} runs in all)" if len(untracked) > 1 else ""
        raise InputError(f"{error} {first.name} {first.reason}{more}.") from error
    return make_ensemble(candidates, left_out + untracked, job.selection)


def _derived_run(
    ensemble: Ensemble, result: EnsembleResult, name: str, content: dict[str, bytes]
) -> DerivedRun:
    ours = result.leaderboard[0]
    novel = ours.test_top1_without_copies
    selection = {f"selection.{key}": value for key, value in asdict(result.selection).items()}
    return DerivedRun(
        experiment=result.experiment,
        name=name,
        tags={
            tags.PHASE: "ensemble",
            tags.DATA_DIGEST: result.digest,
            tags.MEMBERS: json.dumps([member.run_id for member in result.members]),
        },
        params=selection | {"filter": result.filter, "candidates": len(ensemble.candidates)},
        metrics={
            "best/val_top1": ours.val_top1,
            "test/top1": ours.test_top1,
            "test/top1_low": ours.interval[0],
            "test/top1_high": ours.interval[1],
            "members": float(len(result.members)),
            "equal/val_top1": result.equal.val_top1,
            "equal/test_top1": result.equal.test_top1,
        }
        | ({} if novel is None else {WITHOUT_COPIES_METRIC: novel}),
        note=_note(ensemble, result),
        files=content,
    )


def _note(ensemble: Ensemble, result: EnsembleResult) -> str:
    """Return the Markdown that MLflow shows on top of the ensemble's page."""
    ours, single = result.leaderboard[:2]
    novel = ours.test_top1_without_copies
    without = "" if novel is None else f" ({percent(novel)} without copies of training clips)"
    rows = [
        f"| {ensemble.shares[at]:.3f} | {ensemble.weights[at]:.3f} | "
        f"{ensemble.temperatures[at]:.2f} | "
        f"[{markdown(ensemble.candidates[at].name)}]({ensemble.candidates[at].page}) |"
        for at in ensemble.members
    ]
    head = (
        f"An ensemble of {len(result.members)} of {len(ensemble.candidates)} networks, selected on "
        f"val. Test: {ours.test_top1:.1%}{without}, all networks with equal weights "
        f"{result.equal.test_top1:.1%}, the best single network {single.test_top1:.1%}. The whole "
        f"report is the artifact {REPORT}."
    )
    chosen = [f"Chosen: {result.basis.text}.", ""] if result.basis else []
    table = ["| share | weight | temperature | network |", "|---|---|---|---|"]
    return "\n".join([head, "", *chosen, *table, *rows])
