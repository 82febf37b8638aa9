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
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.fusion.compare import interval
from hhmnet_core.fusion.scores import fuse, top1
from hhmnet_core.fusion.weighting import Weighting, simplex
from hhmnet_core.fusion.weights import fit_weights
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.candidates import Candidate, of_workspace
from hhmnet_platform.cluster import Resources, ray_session
from hhmnet_platform.derived import Derived, check_tracking, track
from hhmnet_platform.workspace import Workspace, absolute, default_tracking, default_workspace

# What the field's scripts carry for joint, bone, joint motion and bone motion.
FIELD = {"0.6 : 0.6 : 0.4 : 0.4": (0.6, 0.6, 0.4, 0.4), "2 : 2 : 1 : 1": (2.0, 2.0, 1.0, 1.0)}
SEARCHED, EQUAL, CONVEX = "searched", "equal", "convex log-loss"

Weights = NDArray[np.float64]


@dataclass
class FusionSearch:
    """A search for fusion weights.

    Attributes:
        runs: Finished runs of the workspace; all that they trained is fused.
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

    def __post_init__(self) -> None:
        for name, least, most in (
            ("trials", 1, 10_000), ("evaluations", 1, 1_000_000), ("seed", 0, 2**31)
        ):  # fmt: skip
            if not least <= getattr(self, name) <= most:
                raise InputError(f"{name} must be {least} to {most}, but is {getattr(self, name)}.")


@dataclass(frozen=True)
class Fusion:
    """A way to fuse.

    Attributes:
        weights: Of the raw logits, by candidate; their ratios count.
        val_top1: On what it was chosen by.
        test_top1: On test.
        interval: Of that, 95 %, over clips.
    """

    weights: dict[str, float]
    val_top1: float
    test_top1: float
    interval: tuple[float, float]


def run_search(job: FusionSearch) -> None:
    """Searches, prints, and writes fusion.json and a run of MLflow.

    Raises InputError for anything the user can cause.
    """
    workspace = Workspace(absolute(job.workspace))
    candidates = of_workspace(workspace, job.runs)
    if len(candidates) < 2:
        raise InputError(
            f"There is nothing to weigh: {candidates[0].name} is one network. A phase-2 run holds "
            "video alone: give its phase-1 run too."
        )
    uri = workspace.tracking_uri(job.tracking_uri)
    check_tracking(uri)
    began = time.perf_counter()
    with ray_session() as resources:
        started = time.perf_counter()
        found = search(candidates, job, resources)
    ended = time.perf_counter()
    fusions = {**baselines(candidates), SEARCHED: judged(candidates, found)}
    asked = [*sorted(each.name for each in candidates), job.trials, job.evaluations, job.seed]
    digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
    data_set, experiment = _data_set(workspace, job)
    name = f"{data_set}-fusion-{digest[:8]}"
    said = {
        "search": asdict(job),
        "digest": candidates[0].val.digest,
        "fusions": {title: asdict(fusion) for title, fusion in fusions.items()},
    }
    place = folder(workspace.at(f"fusions/{name}"))
    content = (json.dumps(said, indent=2) + "\n").encode()
    place.write("fusion.json", content)
    console = Console(highlight=False, soft_wrap=True)
    console.print(fusion_table(fusions, len(candidates[0].val), len(candidates[0].test)))
    weights = ", ".join(f"{n} {w:.3f}" for n, w in fusions[SEARCHED].weights.items())
    console.print(f"Weights  {weights}")
    tried, took = job.trials * job.evaluations, ended - started
    console.print(f"{tried} weightings in {took:.1f} s, after {started - began:.1f} s for Ray")
    console.print(f"Files    {place.uri}/fusion.json", markup=False)
    page = track(uri, _tracked(name, experiment, candidates, fusions, job, content))
    console.print(f"MLflow   {uri}, run {name}: {page}", markup=False)


def search(candidates: Sequence[Candidate], job: FusionSearch, resources: Resources) -> Weights:
    """The best weights of calibrated logits that any study finds on val, of sum 1.

    Among equally good ones the nearest to the convex fit: val has many ties, and test does not
    share their edges.
    """
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # the new one ignores verbose=0
    import ray
    from ray import tune

    weighting = Weighting([each.val for each in candidates])
    convex = _calibrated(fit_weights([each.val for each in candidates]).weights, weighting)
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
            storage_path=absolute(f"{job.workspace}/tune"),
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


def judged(candidates: Sequence[Candidate], calibrated: Weights) -> Fusion:
    """Weights of calibrated logits, on val and test."""
    temperatures = np.array(Weighting([each.val for each in candidates]).temperatures)
    return _fusion(candidates, calibrated / temperatures)


def baselines(candidates: Sequence[Candidate]) -> dict[str, Fusion]:
    """The best network alone, and the fusions that need no search."""
    best = max(candidates, key=lambda each: top1(each.val))
    alone = _fusion(candidates, np.array([float(each is best) for each in candidates]))
    found = {f"{best.name} alone": alone, EQUAL: _fusion(candidates, np.ones(len(candidates)))}
    if [each.member for each in candidates] == list(MODALITIES):
        found |= {name: _fusion(candidates, np.array(w)) for name, w in FIELD.items()}
    return {**found, CONVEX: _fusion(candidates, fit_weights([c.val for c in candidates]).weights)}


def _fusion(candidates: Sequence[Candidate], weights: Weights) -> Fusion:
    val, test = (
        fuse([getattr(each, part) for each in candidates], weights.tolist())
        for part in ("val", "test")
    )
    shares = (weights / weights.sum()).tolist()
    names = [each.name for each in candidates]
    right = test.logits.argmax(1) == test.labels
    return Fusion(dict(zip(names, shares, strict=True)), top1(val), top1(test), interval(right))


def _calibrated(weights: Weights, weighting: Weighting) -> Weights:
    """Weights of raw logits as those of calibrated ones, of sum 1."""
    scaled = weights * np.array(weighting.temperatures)
    shares: Weights = scaled / scaled.sum()
    return shares


def fusion_table(fusions: Mapping[str, Fusion], val_clips: int, test_clips: int) -> Table:
    """For the terminal."""
    table = Table(title=f"fusions, {val_clips} clips of val and {test_clips} of test")
    table.add_column("weights")
    for name in ("val top-1", "test top-1", "95 %"):
        table.add_column(name, justify="right")
    for name, fusion in fusions.items():
        low, high = fusion.interval
        cells = (f"{fusion.val_top1:.1%}", f"{fusion.test_top1:.1%}", f"{low:.1%} to {high:.1%}")
        table.add_row(name, *cells, style="bold" if name == SEARCHED else None)
    return table


def _data_set(workspace: Workspace, job: FusionSearch) -> tuple[str, str]:
    """Its name, and the experiment of its runs."""
    result = workspace.run(job.runs[0]).result()
    return result["dataset"], f"{result['dataset']}/{result['protocol']}"


def _tracked(
    name: str,
    experiment: str,
    candidates: Sequence[Candidate],
    fusions: Mapping[str, Fusion],
    job: FusionSearch,
    content: bytes,
) -> Derived:
    lines = [f"| {title} | {f.val_top1:.1%} | {f.test_top1:.1%} |" for title, f in fusions.items()]
    table = "\n".join(["| weights | val | test |", "|---|---|---|", *lines])
    best = fusions[SEARCHED]
    return Derived(
        experiment=experiment,
        name=name,
        tags={"hhmnet.phase": "fusion", "hhmnet.data_digest": candidates[0].val.digest},
        params={"trials": job.trials, "evaluations": job.evaluations, "seed": job.seed}
        | {f"weight/{each}": f"{weight:.4f}" for each, weight in best.weights.items()},
        metrics={"best/val_top1": best.val_top1, "test/top1": best.test_top1},
        note=f"Fusion weights of {len(candidates)} networks, searched on val.\n\n{table}\n",
        files={"fusion.json": content},
    )
