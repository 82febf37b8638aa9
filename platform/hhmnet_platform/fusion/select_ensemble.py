"""The job that selects an ensemble: asks MLflow, writes a file, a page and a run of MLflow."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.fusion.selection import SelectionConfig
from hhmnet_platform.fusion.candidates import of_mlflow, untracked
from hhmnet_platform.fusion.ensemble import Ensemble, make_ensemble
from hhmnet_platform.fusion.ensemble_report import page_of, print_ensemble
from hhmnet_platform.hashing import short_hash
from hhmnet_platform.labels import WITHOUT_COPIES_METRIC, percent
from hhmnet_platform.storage.workspace import Workspace, absolute_uri, default_workspace
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.derived_runs import (
    DerivedRun,
    find_finished_page,
    replace_derived_run,
)
from hhmnet_platform.tracking.uri import default_tracking


@dataclass
class EnsembleJob:
    """What an ensemble is selected from, and how.

    Attributes:
        experiment: Of MLflow, such as nw_ucla/12-3.
        filter: Of MLflow's search, such as "params.seed = '1'"; empty: all runs.
        selection: How it is selected.
        workspace: Folder or URI that the report goes to; $HHMNET_WORKSPACE if set.
        tracking_uri: Of MLflow, $MLFLOW_TRACKING_URI if set; empty: the workspace's database.
    """

    experiment: str = ""
    filter: str = ""
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    workspace: str = field(default_factory=default_workspace)
    tracking_uri: str = field(default_factory=default_tracking)


def run_ensemble(job: EnsembleJob) -> None:
    """Asks MLflow, selects, and writes ensemble.json, report.html and a run of MLflow.

    Raises InputError for anything the user can cause.
    """
    if not job.experiment:
        raise InputError("--experiment is missing: give the name of one of MLflow, see `make ui`.")
    workspace = Workspace(absolute_uri(job.workspace))
    uri = workspace.tracking_uri(job.tracking_uri)
    lacking = [] if job.filter else untracked(workspace, job.experiment)
    try:
        candidates, rejected = of_mlflow(uri, job.experiment, job.filter)
    except InputError as error:
        if not lacking:
            raise
        first = lacking[0]
        more = f" ({len(lacking)} runs in all)" if len(lacking) > 1 else ""
        raise InputError(f"{error} {first.name} {first.reason}{more}.") from error
    ensemble = make_ensemble(candidates, rejected + lacking, job.selection)
    said = described(ensemble, job)
    name = f"{job.experiment.split('/')[0]}-ensemble-{_digest(said)}"
    page = page_of(ensemble, name, job.experiment)
    content = {
        "ensemble.json": (json.dumps(said, indent=2) + "\n").encode(),
        "report.html": page.encode(),
    }
    place = folder(workspace.at(f"ensembles/{name}"))
    tracked = _tracked(ensemble, job, name, content)
    there = "ensemble.json" in place.names()
    known = there and place.read("ensemble.json") == content["ensemble.json"]
    where = find_finished_page(uri, job.experiment, name) if known else None
    if where is None:
        for file, written in content.items():
            place.write(file, written)
        where = replace_derived_run(uri, tracked)
    else:
        print(f"{name} is there already: nothing new was selected.")
    print_ensemble(ensemble, name)
    print(f"Report   {place.uri}/report.html, and ensemble.json beside it")
    print(f"MLflow   {uri}, run {name}: {where}")


def described(ensemble: Ensemble, job: EnsembleJob) -> dict[str, Any]:
    """What ensemble.json says: enough to make the ensemble again without MLflow."""
    first = ensemble.candidates[0]
    board = ensemble.leaderboard
    return {
        "experiment": job.experiment,
        "filter": job.filter,
        "selection": asdict(job.selection),
        "digest": first.val.digest,
        "class_names": list(first.val.class_names),
        "clips": {"val": len(first.val), "test": len(first.test)},
        "copies": len(ensemble.tested.copies),
        "mixture": (
            "softmax(sum over members of weight * log_softmax(logits / temperature), "
            "divided by the mixture's temperature)"
        ),
        "mixture_temperature": ensemble.temperature,
        "members": [
            {
                "run": ensemble.candidates[at].run,
                "member": ensemble.candidates[at].member,
                "run_id": ensemble.candidates[at].run_id,
                "weight": float(ensemble.weights[at]),
                "temperature": ensemble.temperatures[at],
            }
            for at in ensemble.members
        ],
        "leaderboard": [asdict(entry) for entry in board],
        "against_best_single": asdict(ensemble.against_best()),
        "rejected": [asdict(each) for each in ensemble.rejected],
    }


def _digest(said: dict[str, Any]) -> str:
    chosen = {key: said[key] for key in ("experiment", "filter", "selection", "digest", "members")}
    return short_hash(chosen)


def _tracked(
    ensemble: Ensemble, job: EnsembleJob, name: str, content: dict[str, bytes]
) -> DerivedRun:
    board = ensemble.leaderboard
    novel = board[0].test_top1_without_copies
    without = "" if novel is None else f" ({percent(novel)} without copies of training clips)"
    lines = [
        f"| {ensemble.weights[at]:.3f} | {ensemble.temperatures[at]:.2f} | "
        f"[{ensemble.candidates[at].name}]({ensemble.candidates[at].page}) |"
        for at in ensemble.members
    ]
    note = "\n".join(
        [
            f"An ensemble of {len(ensemble.members)} of {len(ensemble.candidates)} networks, "
            f"selected on val. Test: {board[0].test_top1:.1%}{without}, the best single network "
            f"{board[1].test_top1:.1%}. The whole report is the artifact report.html.",
            "",
            "| weight | temperature | network |",
            "|---|---|---|",
            *lines,
        ]
    )
    members = [ensemble.candidates[at].run_id for at in ensemble.members]
    return DerivedRun(
        experiment=job.experiment,
        name=name,
        tags={
            tags.PHASE: "ensemble",
            tags.DATA_DIGEST: ensemble.candidates[0].val.digest,
            tags.MEMBERS: json.dumps(members),
        },
        params={f"selection.{key}": value for key, value in asdict(job.selection).items()}
        | {"filter": job.filter, "candidates": len(ensemble.candidates)},
        metrics={
            "best/val_top1": board[0].val_top1,
            "test/top1": board[0].test_top1,
            "test/top1_low": board[0].interval[0],
            "test/top1_high": board[0].interval[1],
            "members": float(len(members)),
        }
        | ({} if novel is None else {WITHOUT_COPIES_METRIC: novel}),
        note=note,
        files=content,
    )
