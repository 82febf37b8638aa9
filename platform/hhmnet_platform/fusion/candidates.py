"""Networks to fuse: score tables of finished runs, from a workspace or from MLflow."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.fusion.align import check_compatible, keep_shared_clips
from hhmnet_core.fusion.scores import ScoreTable, read_scores
from hhmnet_core.passwords import one_line
from hhmnet_core.store.protocols import VAL
from hhmnet_platform.members import ALL, VIDEO
from hhmnet_platform.storage.finished_run import finished_runs
from hhmnet_platform.storage.scores import SCORES, SPLITS
from hhmnet_platform.storage.workspace import Workspace
from hhmnet_platform.tracking.artifacts import download, holds_artifact
from hhmnet_platform.tracking.experiments import experiment_name
from hhmnet_platform.tracking.queries import MemberRun, member_runs


@dataclass(frozen=True)
class Candidate:
    """A network of a finished run, by its scores.

    Attributes:
        run: Name of its run.
        member: Modality, or "video".
        val: Score table of validation.
        test: Score table of test.
        run_id: Its MLflow run. "" for a network that was read from a workspace.
        phase: "phase1" or "phase2".
        guide: Phase-1 run that guided it. "" for none.
        page: Path of its page behind the address of MLflow's web server. "" as for `run_id`.
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

    def scores(self, split: str) -> ScoreTable:
        """Return its table of a split, "val" or "test"."""
        return {"val": self.val, "test": self.test}[split]


@dataclass(frozen=True)
class LeftOut:
    """Something that is not fused: a run of MLflow, or clips.

    Attributes:
        name: Its name.
        reason: The reason, as the end of a sentence.
    """

    name: str
    reason: str


def candidates_of_workspace(workspace: Workspace, runs: Sequence[str]) -> list[Candidate]:
    """Return all networks that runs of a workspace trained.

    Raises InputError as `finished_runs` does, and for a run without a validation split.
    """
    candidates = []
    for run in finished_runs(workspace, runs):
        if run.result.selection != VAL:
            raise InputError(
                f"Run {run.name} has no validation split (selection {run.result.selection}), so "
                "weights could be selected on its test split only: give runs of --data.selection "
                "val, or --folds; `hhmnet fuse` takes fixed weights."
            )
        for member in run.networks:
            val, test = (run.scores(member, split) for split in SPLITS)
            phase = run.result.phase
            candidates.append(Candidate(run.name, member, val, test, "", phase, run.guide_name))
    return candidates


def untracked_runs(workspace: Workspace, experiment: str) -> list[LeftOut]:
    """Return the finished runs of a workspace that are missing or incomplete in MLflow.

    MLflow may hold another run of the same name; that run is the candidate then.
    """
    untracked = []
    for name in workspace.run_names():
        run = workspace.run(name)
        try:
            result = None if run.is_tracked else run.read_result()
        except InputError:  # not a run, or a damaged one, which its own command reports
            continue
        if not result:
            continue
        if experiment_name(result.dataset, result.protocol, result.selection) == experiment:
            reason = f"is finished in {workspace.uri}, but MLflow does not hold all of it"
            untracked.append(LeftOut(name, f"{reason}: its command prints the reason"))
    return untracked


def on_shared_clips(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[LeftOut]]:
    """Restrict candidates to the clips that have a video, if one of them is a video network.

    Any other difference between their clips remains, and is refused where they are fused.

    Returns:
        The candidates, and the clips that were left out.
    """
    video = [each for each in candidates if each.member == VIDEO]
    if not video:
        return list(candidates), []
    filmed = {
        split: keep_shared_clips([each.scores(split) for each in video])[0] for split in SPLITS
    }
    restricted = [
        replace(
            each,
            val=keep_shared_clips([filmed["val"], each.val])[1],
            test=keep_shared_clips([filmed["test"], each.test])[1],
        )
        for each in candidates
    ]
    missing = []
    for split, table in filmed.items():
        most = max(len(each.scores(split)) for each in candidates)
        if most > len(table):
            missing.append(f"{most - len(table)} of {most} clips of {split}")
    reason = "have no video, which some networks need"
    return restricted, [LeftOut(" and ".join(missing), reason)] if missing else []


def candidates_of_mlflow(
    uri: str, experiment: str, filter_string: str = ""
) -> tuple[list[Candidate], list[LeftOut]]:
    """Return the networks of an experiment that can be fused, and the runs that are left out.

    All have to use the data of the newest finished run.

    Args:
        uri: MLflow tracking URI.
        experiment: Name of the experiment.
        filter_string: MLflow search filter. "" for all runs.

    Raises:
        InputError: MLflow cannot be reached, the experiment does not exist, MLflow refuses the
            filter, the runs are of several data sets, or none can be a candidate.
    """
    runs = member_runs(uri, experiment, filter_string)
    data_sets = {run.dataset for run in runs}
    if len(data_sets) > 1:
        raise InputError(
            f"The runs of {experiment} are of several data sets ({', '.join(sorted(data_sets))}): "
            "narrow --filter to one."
        )
    candidates: list[Candidate] = []
    left_out: list[LeftOut] = []
    for run in runs:  # the newest first
        candidate = _read(uri, run, candidates[0] if candidates else None)
        if isinstance(candidate, LeftOut):
            left_out.append(candidate)
        else:
            candidates.append(candidate)
    if not candidates:
        reasons = Counter(each.reason for each in left_out)
        why = ", ".join(f"{number} {reason}" for reason, number in reasons.items())
        narrowed = f" that matches --filter {filter_string!r}" if filter_string else ""
        raise InputError(
            f"{experiment} holds no finished run{narrowed} to select from "
            f"({why or 'no runs found'}): train some with --data.selection val."
        )
    candidates.sort(key=lambda each: (each.run, ALL.index(each.member)))
    restricted, clips = on_shared_clips(candidates)
    return restricted, clips + left_out


def _read(uri: str, run: MemberRun, first: Candidate | None) -> Candidate | LeftOut:
    """Read a network from MLflow, or return why it is no candidate beside the first one."""
    name = f"{run.run}/{run.member}"
    if run.status != "FINISHED":
        return LeftOut(name, f"is {run.status.lower()}")
    if run.selection != VAL:
        return LeftOut(name, f"has no validation split (selection {run.selection})")
    try:
        with tempfile.TemporaryDirectory() as temporary:
            local = download(uri, run.run_id, SCORES, temporary)
            val, test = (read_scores(str(local / f"{split}.parquet")) for split in SPLITS)
    except AccessError:
        raise
    except OSError as error:
        if holds_artifact(uri, run.run_id, SCORES):
            raise AccessError(
                f"The scores of {name} cannot be read from MLflow at present ({one_line(error)}): "
                "check its artifact store, and give the command again."
            ) from error
        return LeftOut(name, "has no score tables")
    except InputError as error:
        return LeftOut(name, f"has no usable score table ({error})")
    candidate = Candidate(
        run.run, run.member, val, test, run.run_id, run.phase, run.guide, page=run.page
    )
    reason = _incompatibility(first, candidate) if first else ""
    return LeftOut(name, reason) if reason else candidate


def _incompatibility(first: Candidate, other: Candidate) -> str:
    """Return why a candidate cannot be fused with the first one. "" where it can."""
    if first.val.digest != other.val.digest:
        return f"uses other data (digest {other.val.digest[:12]})"
    try:
        for split in SPLITS:
            _check_pair(first, other, split)
    except InputError as error:
        return f"cannot be fused with the others ({error})"
    return ""


def _check_pair(first: Candidate, other: Candidate, split: str) -> None:
    """Raise InputError where two cannot be fused. A video network may have fewer clips."""
    tables = [first.scores(split), other.scores(split)]
    fewer, more = sorted(tables, key=len)
    if VIDEO in (first.member, other.member) and set(fewer.sample_ids) <= set(more.sample_ids):
        tables = keep_shared_clips(tables)
    check_compatible(tables)
