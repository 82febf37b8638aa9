"""Fusion weights searched on val: Optuna studies side by side under Ray Tune, and what they earned.

Each trial is a whole study of its own seed over score tables in the object store: a weighting takes
milliseconds, a process for each would take seconds. Beside what is found stand equal weights, the
field's, and the convex fit, so that one sees whether the search was worth it.
"""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from rich.console import Console

from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder, folder
from hhmnet_core.fusion.scores import ScoreTable, fuse
from hhmnet_core.fusion.weighting import Weighting, simplex
from hhmnet_core.fusion.weights import fit_weights
from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.cluster.session import ray_session
from hhmnet_platform.fusion.candidates import Candidate, of_workspace, on_shared_clips
from hhmnet_platform.fusion.out_of_fold import check_folds, out_of_fold
from hhmnet_platform.fusion.weightings import (
    SEARCHED,
    Weights,
    baselines,
    calibrated_weights,
    fusion_table,
    judged,
)
from hhmnet_platform.hashing import short_hash
from hhmnet_platform.labels import (
    WITHOUT_COPIES_HEADING,
    WITHOUT_COPIES_KEY,
    WITHOUT_COPIES_METRIC,
    percent,
)
from hhmnet_platform.storage.finished_run import FinishedRun, check_run_names
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
from hhmnet_platform.tracking.uri import default_tracking


@dataclass
class FusionSearch:
    """A search for fusion weights.

    Attributes:
        runs: Finished runs of the workspace; all that they trained is fused.
        folds: K: the runs were trained on all training clips, and weights are fitted on what K
            twins of each, trained without one fold of the subjects, say of that fold.
        workspace: Folder or URI that holds them; $HHMNET_WORKSPACE if set.
        trials: Studies, each of a seed of its own.
        evaluations: Weightings that a study tries.
        seed: Of the first study.
        tracking_uri: Of MLflow, $MLFLOW_TRACKING_URI if set; empty: the workspace's database.
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


def run_search(job: FusionSearch) -> None:
    """Searches, prints, and writes fusion.json and a run of MLflow; what is there is told again.

    Raises InputError for anything the user can cause.
    """
    workspace = Workspace(absolute_uri(job.workspace))
    uri = workspace.tracking_uri(job.tracking_uri)
    if job.folds:
        check_run_names(job.runs)
        everyone = out_of_fold(workspace, job.runs, job.folds, job.tracking_uri)
    else:
        everyone = of_workspace(workspace, job.runs)
    candidates, left_out = on_shared_clips(everyone)
    if len(candidates) < 2:
        raise InputError(
            f"There is nothing to weigh: {candidates[0].name} is one network. A phase-2 run holds "
            "video alone: give its phase-1 run too."
        )
    result = FinishedRun.read(workspace.run(job.runs[0])).result
    experiment = experiment_name(result.dataset, result.protocol, result.selection)
    name = f"{result.dataset}-fusion-{short_hash(_asked(job, candidates))}"
    place = folder(workspace.at(f"fusions/{name}"))
    console = Console(highlight=False, soft_wrap=True)
    for each in left_out:
        console.print(f"{each.name} {each.reason}: left out of every figure below", markup=False)
    said = known(place, candidates)
    page = said and find_finished_page(uri, experiment, name)
    if page:
        console.print(f"{name} is there already: nothing was searched.")
    else:
        check_can_track(uri)
        said = _searched(job, candidates, console)
        content = (json.dumps(said, indent=2) + "\n").encode()
        place.write("fusion.json", content)
        page = replace_derived_run(uri, _tracked(name, experiment, said, job, content))
    console.print(fusion_table(said))
    weights = ", ".join(f"{n} {w:.3f}" for n, w in said["fusions"][SEARCHED]["weights"].items())
    console.print(f"Weights  {weights}")
    console.print(f"Files    {place.uri}/fusion.json", markup=False)
    console.print(f"MLflow   {uri}, run {name}: {page}", markup=False)


def _asked(job: FusionSearch, candidates: Sequence[Candidate]) -> dict[str, Any]:
    """All that decides what is found, beside the scores."""
    how = {key: getattr(job, key) for key in ("trials", "evaluations", "seed", "folds")}
    return how | {"networks": sorted(each.name for each in candidates)}


def scores_digest(candidates: Sequence[Candidate]) -> str:
    """Of all scores, and what copies they have: a run that is scored anew is searched anew."""
    digest = hashlib.sha256()
    for each in sorted(candidates, key=lambda candidate: candidate.name):
        for part in SPLITS:
            table: ScoreTable = getattr(each, part)
            digest.update(table.logits.tobytes())
            digest.update("".join(sorted(table.copies)).encode())
    return digest.hexdigest()


def known(place: Folder, candidates: Sequence[Candidate]) -> dict[str, Any]:
    """What was found before, of the same scores; {} for nothing."""
    try:
        said: dict[str, Any] = json.loads(place.read("fusion.json"))
    except (FileNotFoundError, ValueError):
        return {}
    return said if said.get("scores") == scores_digest(candidates) else {}


def _searched(
    job: FusionSearch, candidates: Sequence[Candidate], console: Console
) -> dict[str, Any]:
    """What fusion.json says."""
    began = time.perf_counter()
    with ray_session() as resources:
        started = time.perf_counter()
        found = search(candidates, job, resources)
    ended = time.perf_counter()
    tried, took = job.trials * job.evaluations, ended - started
    console.print(f"{tried} weightings in {took:.1f} s, after {started - began:.1f} s for Ray")
    fusions = {**baselines(candidates), SEARCHED: judged(candidates, found)}
    return {
        "search": asdict(job),
        "digest": candidates[0].val.digest,
        "scores": scores_digest(candidates),
        "clips": {part: len(getattr(candidates[0], part)) for part in SPLITS},
        "copies": len(fuse([each.test for each in candidates]).copies),
        "fusions": {title: asdict(fusion) for title, fusion in fusions.items()},
    }


def search(candidates: Sequence[Candidate], job: FusionSearch, resources: Resources) -> Weights:
    """The best weights of calibrated logits that any study finds on val, of sum 1.

    Among equally good ones the nearest to the convex fit: val has many ties, and test does not
    share their edges.
    """
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # the new one ignores verbose=0
    os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")  # Ctrl-C ends the whole command
    import ray
    from ray import tune

    weighting = Weighting([each.val for each in candidates])
    convex = calibrated_weights(fit_weights([each.val for each in candidates]).weights, weighting)
    points = [np.full(len(candidates), 1 / len(candidates)), convex, *np.eye(len(candidates))]
    seeds = list(range(job.seed, job.seed + job.trials))
    given = ray.put((weighting, points, convex, job.evaluations))
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_trial, given=[given]), {"CPU": 1}),
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
        raise SystemExit(f"error: a study failed: {' '.join(str(results.errors[0]).split())[:300]}")
    trials = [results[at].metrics or {} for at in range(len(results))]
    best = min(trials, key=lambda each: (-each["val_top1"], each["distance"], each["weights"]))
    return np.array(best["weights"])


def _trial(config: dict[str, int], given: list[Any]) -> dict[str, Any]:
    import ray

    weighting, points, convex, evaluations = ray.get(given[0])
    weights, value = study(weighting, points, convex, evaluations, config["seed"])
    distance = float(np.abs(weights - convex).sum())
    return {"weights": weights.tolist(), "val_top1": value, "distance": distance}


def study(
    weighting: Weighting, points: Sequence[Weights], nearest: Weights, evaluations: int, seed: int
) -> tuple[Weights, float]:
    """The best weights that a study of Optuna's TPE finds, and their top-1.

    Args:
        weighting: What judges.
        points: Weights to begin with.
        nearest: Among equally good weights, the nearest to these.
        evaluations: Weightings to try.
        seed: Of the sampler.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    names = [f"share-{at}" for at in range(len(weighting))]
    tried: list[tuple[float, float, Weights]] = []

    def objective(trial: optuna.Trial) -> float:
        weights = simplex(np.array([trial.suggest_float(name, 0, 1) for name in names]))
        value = weighting.top1(weights)
        tried.append((-value, float(np.abs(weights - nearest).sum()), weights))
        return value

    made = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, constant_liar=False)
    )
    for point in points:
        # `simplex` undone: shares exp(-w) have the weights w.
        shares = np.clip(np.exp(-np.asarray(point)), 1e-12, 1 - 1e-12)
        made.enqueue_trial(dict(zip(names, shares.tolist(), strict=True)))
    made.optimize(objective, n_trials=evaluations)
    value, _, weights = min(tried, key=lambda each: each[:2])
    return weights, -value


def _tracked(
    name: str, experiment: str, said: Mapping[str, Any], job: FusionSearch, content: bytes
) -> DerivedRun:
    fusions = said["fusions"]
    best = fusions[SEARCHED]
    novel = best[WITHOUT_COPIES_KEY]
    heads = {"val_top1": "val", "test_top1": "test"} | (
        {} if novel is None else {WITHOUT_COPIES_KEY: WITHOUT_COPIES_HEADING}
    )
    lines = [
        " | ".join([title, *(percent(fusion[key]) for key in heads)])
        for title, fusion in fusions.items()
    ]
    lines = [" | ".join(["weights", *heads.values()]), "|".join(["---"] * (1 + len(heads))), *lines]
    table = "\n".join(f"| {line} |" for line in lines)
    on = "val" if not job.folds else f"val, out of {job.folds} folds of the training subjects"
    return DerivedRun(
        experiment=experiment,
        name=name,
        tags={tags.PHASE: "fusion", tags.DATA_DIGEST: said["digest"]},
        params={"trials": job.trials, "evaluations": job.evaluations, "seed": job.seed}
        | ({"folds": job.folds} if job.folds else {})
        | {f"weight/{each}": f"{weight:.4f}" for each, weight in best["weights"].items()},
        metrics={"best/val_top1": best["val_top1"], "test/top1": best["test_top1"]}
        | ({} if novel is None else {WITHOUT_COPIES_METRIC: novel}),
        note=f"Fusion weights of {len(best['weights'])} networks, searched on {on}.\n\n{table}\n",
        files={"fusion.json": content},
    )
