"""Score tables of finished runs, to be fused: from a workspace, or from what MLflow holds."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.fusion.scores import ScoreTable, fuse, read_scores, shared
from hhmnet_platform.members import ALL, VIDEO
from hhmnet_platform.storage.finished_run import finished_runs
from hhmnet_platform.storage.scores import SPLITS
from hhmnet_platform.storage.workspace import Workspace
from hhmnet_platform.tracking.artifacts import download
from hhmnet_platform.tracking.experiments import experiment_name
from hhmnet_platform.tracking.queries import MemberRun, member_runs


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
    runs = member_runs(uri, experiment, filter_string)
    data_sets = {run.dataset for run in runs}
    if len(data_sets) > 1:
        raise InputError(
            f"The runs of {experiment} are of several data sets ({', '.join(sorted(data_sets))}): "
            "narrow --filter to one."
        )
    candidates: list[Candidate] = []
    rejected: list[Rejected] = []
    for run in runs:  # the newest first
        name = f"{run.run}/{run.member}"
        reason = _unfit(run)
        if not reason:
            found = _read(uri, run)
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


def _unfit(run: MemberRun) -> str:
    if run.status != "FINISHED":
        return f"is {run.status.lower()}"
    if run.selection != "val":
        return f"has no val that it chose by (selection {run.selection})"
    return ""


def _read(uri: str, run: MemberRun) -> Candidate | str:
    """The candidate, or why there is none."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            local = download(uri, run.run_id, "scores", folder)
            val, test = (read_scores(str(local / f"{part}.parquet")) for part in SPLITS)
    except OSError:
        return "has no score tables"
    except InputError as error:
        return f"has no usable score table ({error})"
    return Candidate(
        run.run, run.member, val, test, run.run_id, run.phase, run.guide, page=run.page
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
