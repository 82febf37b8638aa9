"""Searching fusion weights on validation: Optuna studies side by side under Ray Tune.

Each trial is a whole study with its own seed, on score tables in the object store: a weighting
takes milliseconds, a process for each would take seconds. The weights of the highest top-1 are used
only where they are better than the others by more than the noise of val. Equal weights, the field's
and the convex fit stand beside the result, to show whether the search was worth it.
"""

import hashlib
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from rich.console import Console

from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.files import Folder, folder
from hhmnet_core.fusion.align import fuse
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.shrinkage import ValScores, choose_on, choose_weights, consider
from hhmnet_core.fusion.weight_fitting import fit_weights
from hhmnet_core.fusion.weight_scoring import WeightScorer, simplex_weights
from hhmnet_core.identity import JsonObject
from hhmnet_core.passwords import one_line, without_password
from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.cluster.session import ray_session
from hhmnet_platform.fusion.candidates import (
    Candidate,
    candidates_of_workspace,
    on_shared_clips,
)
from hhmnet_platform.fusion.fusion_result import (
    FILE,
    FusionResult,
    SearchSettings,
    fusion_table,
    parse_fusion,
)
from hhmnet_platform.fusion.models import fusion_model, write_combined_model
from hhmnet_platform.fusion.out_of_fold import check_folds, out_of_fold_candidates
from hhmnet_platform.fusion.weightings import (
    BEST_ON_VAL,
    EQUAL,
    SEARCHED,
    Weights,
    baseline_fusions,
    calibrated_fusion,
    calibrated_weights,
    weighted_fusion,
)
from hhmnet_platform.hashing import short_hash
from hhmnet_platform.presentation.labels import (
    WITHOUT_COPIES_HEADING,
    WITHOUT_COPIES_METRIC,
    percent,
)
from hhmnet_platform.storage.finished_run import FinishedRun, check_run_names
from hhmnet_platform.storage.record_files import format_record
from hhmnet_platform.storage.scores import SPLITS
from hhmnet_platform.storage.workspace import Workspace, absolute_uri, default_workspace
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.derived_runs import (
    DerivedRun,
    check_can_track,
    find_finished_page,
    replace_derived_run,
)
from hhmnet_platform.tracking.experiments import experiment_name
from hhmnet_platform.tracking.models import log_derived_model
from hhmnet_platform.tracking.uri import default_tracking


@dataclass
class FusionSearch:
    """A search for fusion weights.

    Attributes:
        runs: Names of finished runs in the workspace, such as a b. All their networks are fused.
        workspace: Folder or URI of the workspace. Default: $HHMNET_WORKSPACE, else `workspace`.
        trials: Number of trials of Ray Tune, each a whole Optuna study with a seed of its own.
        evaluations: Weightings that each study tries.
        seed: Random seed of the first study.
        tracking_uri: MLflow tracking URI. Default: $MLFLOW_TRACKING_URI, else an SQLite file in
            the workspace.
        folds: Number of folds (2 or more) for runs that were trained on all training clips. Each
            run is trained again without each fold of the subjects, and weights are searched on the
            scores of the clips left out. Default: weights are searched on the validation split.
    """

    runs: list[str] = field(default_factory=list)
    workspace: str = field(default_factory=default_workspace)
    trials: int = 4
    evaluations: int = 300
    seed: int = 1
    tracking_uri: str = field(default_factory=default_tracking)
    folds: int | None = None

    def __post_init__(self) -> None:
        check_folds(self.folds)
        for name, least, most in (
            ("trials", 1, 10_000), ("evaluations", 1, 1_000_000), ("seed", 0, 2**31)
        ):  # fmt: skip
            if not least <= getattr(self, name) <= most:
                raise InputError(f"{name} must be {least} to {most}, but is {getattr(self, name)}.")


def run_fusion_search(job: FusionSearch) -> None:
    """Search, print, and write fusion.json and an MLflow run. A finished search is only shown.

    Raises InputError for anything the user can cause.
    """
    workspace = Workspace(absolute_uri(job.workspace))
    uri = workspace.tracking_uri(job.tracking_uri)
    candidates, left_out = on_shared_clips(_candidates(job, workspace))
    if len(candidates) < 2:
        raise InputError(
            f"Fusion weights need at least two networks, but --runs has {candidates[0].name} only. "
            "A phase-2 run has the video network only: give its phase-1 run too."
        )
    run = FinishedRun.read(workspace.run(job.runs[0])).result
    experiment = experiment_name(run.dataset, run.protocol, run.selection)
    name = f"{run.dataset}-fusion-{short_hash(_identity(job, candidates))}"
    files = folder(workspace.derived("fusions", name))
    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    for each in left_out:
        console.print(f"{each.name} {each.reason}: left out of every figure below", markup=False)
    earlier = result = read_fusion(files, candidates)
    page = find_finished_page(uri, experiment, name) if result else None
    if result and page:
        console.print(f"{name} exists already: nothing was searched.")
    else:
        check_can_track(uri)
        result = _search(job, candidates, console)
        content = format_record(result)
        files.write(FILE, content)
        page = replace_derived_run(uri, _derived_run(name, experiment, result, job, content))
    console.print(fusion_table(result))
    weights = ", ".join(f"{n} {w:.3f}" for n, w in result.searched.weights.items())
    console.print(f"Weights  {weights}")
    console.print(f"Files    {files.uri}/{FILE}", markup=False)
    best = result.searched.weights
    is_known = earlier is not None and earlier.searched.weights == best
    model, line = write_combined_model(
        files.uri, lambda: fusion_model(name, candidates, best, workspace), is_known
    )
    console.print(line, markup=False)
    if model:
        for line in log_derived_model(uri, experiment, name, model).lines:
            console.print(line, markup=False)
    console.print(f"MLflow   {without_password(uri)}, run {name}: {page}", markup=False)


def read_fusion(files: Folder, candidates: Sequence[Candidate]) -> FusionResult | None:
    """Return the result of an earlier search on the same scores. None where there is none."""
    try:
        result = parse_fusion(files.read(FILE), f"{files.uri}/{FILE}")
    except AccessError:
        raise
    except (FileNotFoundError, InputError):
        return None
    return result if result.scores == scores_digest(candidates) else None


def scores_digest(candidates: Sequence[Candidate]) -> str:
    """Return the digest of all scores and copies: a run that is scored anew is searched anew."""
    digest = hashlib.sha256()
    for each in sorted(candidates, key=lambda candidate: candidate.name):
        for split in SPLITS:
            table = each.scores(split)
            digest.update(table.logits.tobytes())
            digest.update("".join(sorted(table.copies)).encode())
    return digest.hexdigest()


def search_weights(
    candidates: Sequence[Candidate], job: FusionSearch, resources: Resources
) -> Weights:
    """Return the weights of calibrated logits of the highest top-1 on validation, of sum 1.

    Among equally good ones the nearest to those of `choose_weights` win: validation has many ties,
    and test does not share their edges.
    """
    import ray
    from ray import tune

    vals = [each.val for each in candidates]
    weighting = WeightScorer(vals)
    starts, nearest = start_weights(vals, weighting)
    seeds = list(range(job.seed, job.seed + job.trials))
    shared_inputs = ray.put((weighting, starts, nearest, job.evaluations))
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_trial, inputs=[shared_inputs]), {"CPU": 1}),
        param_space={"seed": tune.grid_search(seeds)},
        tune_config=tune.TuneConfig(max_concurrent_trials=max(1, min(resources.cpus, job.trials))),
        run_config=tune.RunConfig(
            name=f"fusion-{uuid.uuid4().hex[:8]}",
            verbose=0,
            storage_path=absolute_uri(f"{job.workspace}/tune"),
        ),
    )
    results = tuner.fit()
    if results.errors:
        reason = one_line(results.errors[0])[:300]
        raise SystemExit(f"error: a study failed: {reason}")
    trials = [results[at].metrics or {} for at in range(len(results))]
    best = min(trials, key=lambda each: (-each["val_top1"], each["distance"], each["weights"]))
    return np.array(best["weights"])


def start_weights(
    vals: Sequence[ScoreTable], weighting: WeightScorer
) -> tuple[list[Weights], Weights]:
    """Return weights (S,) to start a study from, and those that win among equally good ones."""
    nearest = calibrated_weights(choose_weights(vals).weights, weighting)
    convex = calibrated_weights(fit_weights(vals).weights, weighting)
    equal = calibrated_weights(np.ones(len(vals)), weighting)
    return [equal, nearest, convex, *np.eye(len(vals))], nearest


def run_study(
    weighting: WeightScorer,
    starts: Sequence[Weights],
    nearest: Weights,
    evaluations: int,
    seed: int,
) -> tuple[Weights, float]:
    """Return the best weights that a study of Optuna's TPE finds, and their top-1.

    Args:
        weighting: Score tables on validation.
        starts: (S,) weights to try first.
        nearest: Among equally good weights, the nearest to these win.
        evaluations: Number of weightings to try.
        seed: Random seed of the sampler.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    names = [f"share-{at}" for at in range(len(weighting))]
    tried: list[tuple[float, float, Weights]] = []

    def objective(trial: optuna.Trial) -> float:
        weights = simplex_weights(np.array([trial.suggest_float(name, 0, 1) for name in names]))
        value = weighting.top1(weights)
        tried.append((-value, float(np.abs(weights - nearest).sum()), weights))
        return value

    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, constant_liar=False)
    )
    for start in starts:
        # The inverse of `simplex_weights`: shares exp(-w) have the weights w.
        shares = np.clip(np.exp(-np.asarray(start)), 1e-12, 1 - 1e-12)
        study.enqueue_trial(dict(zip(names, shares.tolist(), strict=True)))
    study.optimize(objective, n_trials=evaluations)
    value, _, weights = min(tried, key=lambda each: each[:2])
    return weights, -value


def _candidates(job: FusionSearch, workspace: Workspace) -> list[Candidate]:
    if not job.folds:
        return candidates_of_workspace(workspace, job.runs)
    check_run_names(job.runs)
    return out_of_fold_candidates(workspace, job.runs, job.folds, job.tracking_uri)


def _identity(job: FusionSearch, candidates: Sequence[Candidate]) -> dict[str, object]:
    """Return all that decides the result beside the scores."""
    return {
        "trials": job.trials,
        "evaluations": job.evaluations,
        "seed": job.seed,
        "folds": job.folds,
        "networks": sorted(each.name for each in candidates),
    }


def _search(job: FusionSearch, candidates: Sequence[Candidate], console: Console) -> FusionResult:
    began = time.perf_counter()
    with ray_session() as resources:
        started = time.perf_counter()
        best = search_weights(candidates, job, resources)
    val = ValScores([each.val for each in candidates])
    highest = calibrated_fusion(candidates, best)
    choice = consider(val, choose_on(val), np.array(list(highest.weights.values())))
    seconds, tried = time.perf_counter() - started, job.trials * job.evaluations
    console.print(f"{tried} weightings in {seconds:.1f} s, after {started - began:.1f} s for Ray")
    return FusionResult(
        search=SearchSettings(**asdict(job)),
        digest=candidates[0].val.digest,
        scores=scores_digest(candidates),
        clips={split: len(candidates[0].scores(split)) for split in SPLITS},
        copies=len(fuse([each.test for each in candidates]).copies),
        fusions={
            **baseline_fusions(candidates),
            BEST_ON_VAL: highest,
            SEARCHED: weighted_fusion(candidates, choice.weights),
        },
        basis=choice.basis,
    )


def _trial(config: dict[str, int], inputs: list[Any]) -> JsonObject:
    """Run one study as a trial of Ray Tune, and return what it found."""
    import ray

    weighting, starts, nearest, evaluations = ray.get(inputs[0])
    weights, value = run_study(weighting, starts, nearest, evaluations, config["seed"])
    distance = float(np.abs(weights - nearest).sum())
    return {"weights": weights.tolist(), "val_top1": value, "distance": distance}


def _derived_run(
    name: str, experiment: str, result: FusionResult, job: FusionSearch, content: bytes
) -> DerivedRun:
    best = result.searched
    novel = best.test_top1_without_copies
    on = "val" if not job.folds else f"val, out of {job.folds} folds of the training subjects"
    return DerivedRun(
        experiment=experiment,
        name=name,
        tags={tags.PHASE: "fusion", tags.DATA_DIGEST: result.digest},
        params={"trials": job.trials, "evaluations": job.evaluations, "seed": job.seed}
        | ({"folds": job.folds} if job.folds else {})
        | {f"weight/{network}": f"{weight:.4f}" for network, weight in best.weights.items()},
        metrics={
            "best/val_top1": best.val_top1,
            "test/top1": best.test_top1,
            "equal/val_top1": result.fusions[EQUAL].val_top1,
            "equal/test_top1": result.fusions[EQUAL].test_top1,
        }
        | ({} if novel is None else {WITHOUT_COPIES_METRIC: novel}),
        note=f"Fusion weights of {len(best.weights)} networks, searched on {on}.\n\n"
        + (f"Chosen: {result.basis.text}.\n\n" if result.basis else "")
        + f"{_markdown_table(result)}\n",
        files={FILE: content},
    )


def _markdown_table(result: FusionResult) -> str:
    has_copies = result.searched.test_top1_without_copies is not None
    rows = [["weights", "val", "test", WITHOUT_COPIES_HEADING], ["---"] * 4]
    for name, fusion in result.fusions.items():
        shares = (fusion.val_top1, fusion.test_top1, fusion.test_top1_without_copies)
        rows.append([name, *map(percent, shares)])
    columns = 4 if has_copies else 3
    return "\n".join(f"| {' | '.join(row[:columns])} |" for row in rows)
