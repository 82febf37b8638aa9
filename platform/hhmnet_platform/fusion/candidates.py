"""Score tables of finished runs, to be fused: from a workspace, or from what MLflow holds."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.fusion.scores import ScoreTable, fuse, read_scores, shared
from hhmnet_platform.members import ALL, FUSION, TRAINED, VIDEO
from hhmnet_platform.storage.finished_run import finished_runs
from hhmnet_platform.storage.scores import SPLITS
from hhmnet_platform.storage.workspace import Workspace
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.client import set_quiet_defaults
from hhmnet_platform.tracking.experiments import experiment_name
from hhmnet_platform.tracking.uri import database_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


@dataclass(frozen=True)
class Candidate:
    """A network of a finished run, by its scores.

    Attributes:
        run: Its run's name.
        member: The modality, or video.
        val: Its table of val.
        test: Its table of test.
        run_id: In MLflow; "" where it was read from a workspace.
        phase: "phase1" or "phase2".
        guide: The phase-1 run that guided it; "" for none.
        page: Behind the address of MLflow's web server; "" where it was read from a workspace.
    """

    run: str
    member: str
    val: ScoreTable
    test: ScoreTable
    run_id: str = ""
    phase: str = "phase1"
    guide: str = ""
    page: str = ""

    @property
    def name(self) -> str:
        return f"{self.run}/{self.member}"


@dataclass(frozen=True)
class Rejected:
    """What was left out, and why: a run of MLflow, or clips."""

    name: str
    reason: str


def of_workspace(workspace: Workspace, runs: Sequence[str]) -> list[Candidate]:
    """What runs of a workspace have trained.

    Raises InputError as `finished_runs` does, and where one held no val out.
    """
    candidates = []
    for run in finished_runs(workspace, runs):
        result = run.result
        if result.selection != "val":
            raise InputError(
                f"Run {run.name} has no val that it chose by (selection {result.selection}), so "
                "nothing can be chosen without its test set: give runs of --data.selection val, or "
                "--folds; fuse.py fuses them by weights that nothing chose."
            )
        for member in run.networks:
            val, test = (run.scores(member, split) for split in SPLITS)
            candidates.append(Candidate(run.name, member, val, test, "", result.phase, run.guide))
    return candidates


def untracked(workspace: Workspace, experiment: str) -> list[Rejected]:
    """The finished runs of a workspace that belong to an experiment, but are not in MLflow.

    MLflow may hold another run of the name, which then is a candidate in its place.
    """
    lacking = []
    for name in folder(workspace.at("runs")).names():
        run = workspace.run(name)
        try:
            result = None if run.is_tracked else run.read_result()
        except InputError:  # no run, or a damaged one: its own command says so
            continue
        if not result:
            continue
        if experiment_name(result.dataset, result.protocol, result.selection) == experiment:
            why = f"is finished in {workspace.uri}, but not all of it is in MLflow"
            lacking.append(Rejected(name, f"{why}: its command says why"))
    return lacking


def on_shared_clips(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Rejected]]:
    """The candidates with the clips alone that all of them have, and how many that leaves out.

    A video network has no scores of the clips without a video; any other difference stays, for
    whoever fuses to refuse.
    """
    films = [each for each in candidates if each.member == VIDEO]
    if not films:
        return list(candidates), []
    filmed = {part: shared([getattr(each, part) for each in films])[0] for part in SPLITS}
    kept = [
        replace(
            each,
            val=shared([filmed["val"], each.val])[1],
            test=shared([filmed["test"], each.test])[1],
        )
        for each in candidates
    ]
    missed = []
    for part, seen in filmed.items():
        most = max(len(getattr(each, part)) for each in candidates)
        if most > len(seen):
            missed.append(f"{most - len(seen)} of {most} clips of {part}")
    why = "have no video, which some networks need"
    return kept, [Rejected(" and ".join(missed), why)] if missed else []


def of_mlflow(
    uri: str, experiment: str, filter_string: str = ""
) -> tuple[list[Candidate], list[Rejected]]:
    """All networks of an experiment whose scores belong together, and what was left out.

    The data are those of the newest finished run.

    Args:
        uri: Of MLflow's tracking.
        experiment: Its name.
        filter_string: Of MLflow's search; "" takes all runs.

    Raises:
        InputError: MLflow cannot be reached, no such experiment, a filter that it does not take,
            runs of more than one data set, or none that can be a candidate.
    """
    client, runs = _search(uri, experiment, filter_string)
    data_sets = {run.data.tags[tags.DATASET] for run in runs}
    if len(data_sets) > 1:
        raise InputError(
            f"The runs of {experiment} are of several data sets ({', '.join(sorted(data_sets))}): "
            "narrow --filter to one."
        )
    candidates: list[Candidate] = []
    rejected: list[Rejected] = []
    for run in runs:  # the newest first
        run_tags = run.data.tags
        name = f"{run_tags[tags.RUN]}/{run_tags[tags.MODALITY]}"
        reason = _unfit(run)
        if not reason:
            found = _read(client, run, name)
            reason = found if isinstance(found, str) else _apart(candidates, found)
            if isinstance(found, Candidate) and not reason:
                candidates.append(found)
        if reason:
            rejected.append(Rejected(name, reason))
    if not candidates:
        reasons = Counter(each.reason for each in rejected)
        why = ", ".join(f"{number} {reason}" for reason, number in reasons.items())
        narrowed = f" that --filter {filter_string!r} lets through" if filter_string else ""
        raise InputError(
            f"{experiment} holds no finished run{narrowed} to choose from "
            f"({why or 'no run at all'}): train some with --data.selection val."
        )
    order = {member: at for at, member in enumerate(ALL)}
    candidates.sort(key=lambda each: (each.run, order[each.member]))
    kept, clips = on_shared_clips(candidates)
    return kept, clips + rejected


def _search(uri: str, experiment: str, filter_string: str) -> tuple["MlflowClient", list["Run"]]:
    """The networks' runs of an experiment, the newest first."""
    set_quiet_defaults()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    database = database_of(uri)
    if database is not None and not database.exists():
        raise InputError(
            f"There is no {database}: nothing has been tracked there. Check --workspace, or give "
            "--tracking_uri."
        )
    try:
        client = MlflowClient(uri)
        known = client.get_experiment_by_name(experiment)
        if known is None:
            there = sorted(e.name for e in client.search_experiments() if e.name != "Default")
            names = ", ".join(there) or "none"
            raise InputError(f"MLflow at {uri} has no experiment {experiment!r}; it has {names}.")
        page: str | None = None
        runs: list[Run] = []
        while True:
            found = client.search_runs(
                [known.experiment_id], filter_string, page_token=page,
                order_by=["attributes.start_time DESC"],
            )  # fmt: skip
            runs += found
            page = found.token
            if not page:
                break
    except (MlflowException, SQLAlchemyError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"MLflow at {uri} cannot be asked ({said}).") from error
    ours = [run for run in runs if run.data.tags.get(tags.PHASE) in TRAINED]
    return client, [run for run in ours if run.data.tags[tags.MODALITY] != FUSION]


def _unfit(run: "Run") -> str:
    run_tags = run.data.tags
    if run.info.status != "FINISHED":
        return f"is {run.info.status.lower()}"
    if run_tags[tags.SELECTION] != "val":
        return f"has no val that it chose by (selection {run_tags[tags.SELECTION]})"
    return ""


def _read(client: "MlflowClient", run: "Run", name: str) -> Candidate | str:
    """The candidate, or why there is none."""
    from mlflow.exceptions import MlflowException

    run_tags = run.data.tags
    try:
        with tempfile.TemporaryDirectory() as folder:
            local = client.download_artifacts(run.info.run_id, "scores", folder)
            val, test = (read_scores(str(Path(local, f"{part}.parquet"))) for part in SPLITS)
    except (MlflowException, OSError):
        return "has no score tables"
    except InputError as error:
        return f"has no usable score table ({error})"
    return Candidate(
        run=run_tags[tags.RUN],
        member=run_tags[tags.MODALITY],
        val=val,
        test=test,
        run_id=run.info.run_id,
        phase=run_tags[tags.PHASE],
        guide=run_tags.get(tags.GUIDE, ""),
        page=f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}",
    )


def _apart(candidates: Sequence[Candidate], other: Candidate) -> str:
    """Why a candidate does not belong to those before it; "" where it does."""
    if not candidates:
        return ""
    first = candidates[0]
    if first.val.digest != other.val.digest:
        return f"is of other data (digest {other.val.digest[:12]})"
    try:
        for part in SPLITS:
            _check_alike(first, other, part)
    except InputError as error:
        return f"does not belong to the others ({error})"
    return ""


def _check_alike(one: Candidate, other: Candidate, part: str) -> None:
    """Raises InputError where two do not belong together; a video network may have fewer clips."""
    tables = [getattr(one, part), getattr(other, part)]
    few, many = sorted(tables, key=len)
    if VIDEO in (one.member, other.member) and set(few.sample_ids) <= set(many.sample_ids):
        tables = shared(tables)
    fuse(tables)
