"""Searches what phase 1 is trained with: Optuna's TPE suggests, ASHA stops what is hopeless.

Each trial is a whole run of phase 1 under Ray Train, with its own folder and its own place in
MLflow, below the search's. The study lives in a file of the workspace: killed and started again, a
search goes on with the trials that are left, and those that were under way go on from their last
checkpoint, since equal configs are one run.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.fusion.scores import FUSION
from hhmnet_core.training.phase1 import Phase1Config
from hhmnet_platform.cluster import Resources, cluster_address, ray_session, this_machine
from hhmnet_platform.derived import Derived, begin, end, stop_children
from hhmnet_platform.job import Phase1Job, prepare_run, store_of
from hhmnet_platform.plan import Plan
from hhmnet_platform.progress import clock
from hhmnet_platform.search_report import epochs_of, files_of, finished, seconds_of
from hhmnet_platform.space import Dimension, configured, distributions
from hhmnet_platform.study import open_study
from hhmnet_platform.train import plan_of, train_run
from hhmnet_platform.workspace import Workspace, absolute, alone_in, check_name

if TYPE_CHECKING:
    import optuna

METRIC = "val_top1"


@dataclass
class Search(Phase1Job):
    """A search: phase 1 as it is where the space says nothing, and the space.

    Attributes:
        study: Its name; the same name goes on with the same search.
        space: What is searched: a field such as contrast.temperature -> low, high, log, or choices.
        trials: In all; more of them later add to those before.
        grace: Epochs that every trial gets.
        reduction: ASHA keeps one of so many trials at each rung.
    """

    study: str = ""
    space: dict[str, Dimension] = field(default_factory=dict)
    trials: int = 20
    grace: int = 3
    reduction: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("trials", 1), ("grace", 1), ("reduction", 2)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, but is {getattr(self, name)}.")

    def trial(self, values: Mapping[str, Any]) -> Phase1Job:
        """The phase-1 run with these values of the space."""
        plain = {each.name: getattr(self, each.name) for each in fields(Phase1Job)}
        return configured(Phase1Job(**plain), values)


def run_search(job: Search) -> None:
    """Searches, or goes on searching; writes best.yaml, plots and a run of MLflow.

    Raises InputError for anything the user can cause.
    """
    if not job.study:
        raise InputError("--study is missing: give the search a name.")
    check_name(job.study)
    if job.data.selection != "val":
        raise InputError("A search chooses by val: give data.selection val.")
    space = distributions(job.trial({}), job.space)
    workspace = Workspace(absolute(job.workspace))
    if not workspace.is_local:
        raise InputError(f"A search needs a folder: {workspace.uri} cannot be --workspace here.")
    if not cluster_address():
        plan_of(job, this_machine())
    workspace.check_writable()
    place = Path(workspace.at(f"searches/{job.study}"))
    place.mkdir(parents=True, exist_ok=True)
    with alone_in(place, f"The study {job.study} is being searched by another process"):
        _search(job, space, workspace, place)


def _search(job: Search, space: Mapping[str, Any], workspace: Workspace, place: Path) -> None:
    with store_of(job, workspace, keep=True) as store:
        job = replace(job, data=replace(job.data, store=store))
        first = prepare_run(job.trial({}), workspace, store)
    study = open_study(job.study, place, _about(job))
    parent = Derived(
        experiment=first.tracked.experiment,
        name=job.study,
        tags={"hhmnet.phase": "search", "hhmnet.data_digest": first.clips.manifest.digest},
        params={f"space/{name}": _said(each) for name, each in job.space.items()},
        metrics={},
        note=_note(job, study),
        files={},
    )
    uri = workspace.tracking_uri(job.tracking_uri)
    number, run_id = begin(uri, parent, first.tracked.artifacts)
    left = job.trials - len(finished(study))
    if left > 0:
        with ray_session(dashboard=True) as resources:
            print(f"search {job.study}: {left} of {job.trials} trials are left", flush=True)
            try:
                _tune(job, space, study, left, run_id, resources)
            finally:
                stop_children(uri, number, run_id)
    best = study.best_trial
    files = files_of(study, _best(job, study), tuple(job.space), job.optim.epochs)
    for name, content in files.items():
        folder(str(place)).write(name, content)
    metrics = {f"best/{METRIC}": best.value or 0.0, "trials": float(len(finished(study)))}
    metrics["seconds"] = sum(seconds_of(trial) for trial in finished(study))
    end(uri, run_id, replace(parent, metrics=metrics, note=_note(job, study), files=files))
    for line in _table(study):
        print(line)
    print(f"Best     val top-1 {best.value:.1%}: {_values(best.params)}")
    print(f"Cost     {clock(metrics['seconds'])} of trials, {len(finished(study))} of them")
    print(f"Train    python experiments/phase1.py --config {place}/best.yaml")
    print(f"MLflow   {uri}, experiment {parent.experiment}: #/experiments/{number}/runs/{run_id}")


def _tune(
    job: Search,
    space: Mapping[str, Any],
    study: "optuna.Study",
    trials: int,
    parent: str,
    resources: Resources,
) -> None:
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # the new one ignores verbose=0
    # A trial that ASHA stops ends, and lets go of its workers, only when it is killed.
    os.environ.setdefault("TUNE_FORCE_TRIAL_CLEANUP_S", "5")
    import optuna
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    plan = plan_of(job, resources)
    search = _searcher()(
        dict(space),
        metric=METRIC,
        mode="max",
        sampler=optuna.samplers.TPESampler(seed=job.seed + len(finished(study))),
        study_name=job.study,
        storage=study._storage,
    )
    # The driver needs no core of its own, and sits where nothing is taken away.
    trial = tune.with_resources(
        tune.with_parameters(_trial, job=job, plan=plan, parent=parent),
        {"node:__internal_head__": 0.001},
    )
    tuner = tune.Tuner(
        trial,
        tune_config=tune.TuneConfig(
            metric=METRIC,
            mode="max",
            search_alg=search,
            scheduler=ASHAScheduler(
                time_attr="epoch",
                max_t=job.optim.epochs + 1,  # a whole trial ends by itself
                grace_period=min(job.grace, job.optim.epochs),
                reduction_factor=job.reduction,
            ),
            num_samples=trials,
            max_concurrent_trials=_side_by_side(plan, resources),
        ),
        run_config=tune.RunConfig(
            name=f"tune-{int(time.time())}",
            storage_path=absolute(f"{job.workspace}/searches/{job.study}"),
            callbacks=[_teller(job)],
            verbose=0,
        ),
    )
    results = tuner.fit()
    if results.errors:
        said = " ".join(str(results.errors[0]).split())[-300:]
        raise SystemExit(f"error: {len(results.errors)} trials failed, the first with: {said}")


def _searcher() -> Any:
    """Optuna's searcher, that also notes how far a trial came; one that broke is no result."""
    from ray.tune.search.optuna import OptunaSearch

    class Searcher(OptunaSearch):
        def on_trial_complete(
            self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
        ) -> None:
            if result and not error:
                trial = self._ot_trials[trial_id]
                trial.set_user_attr("epochs", result["epoch"])
                trial.set_user_attr("seconds", round(result["time_total_s"], 1))
                trial.set_user_attr("run", result["run"])
            super().on_trial_complete(trial_id, None if error else result, error)

    return Searcher


def _side_by_side(plan: Plan, resources: Resources) -> int:
    """Trials whose workers fit at once, so that none waits for another's."""
    room = resources.room(plan.cpus_per_worker, plan.gpu)
    return max(1, room // plan.workers)


def _trial(values: dict[str, Any], job: Search, plan: Plan, parent: str) -> None:
    """Trains phase 1 with these values, reporting val top-1 of the fusion epoch by epoch."""
    from ray import tune

    trial = job.trial(values)
    workspace = Workspace(absolute(job.workspace))
    run = prepare_run(trial, workspace, trial.data.store)
    run = replace(
        run,
        tracked=replace(
            run.tracked, parent=parent, tags={**run.tracked.tags, "hhmnet.search": job.study}
        ),
    )

    def report(record: Mapping[str, Any]) -> None:
        tune.report({METRIC: record["metrics"][FUSION]["val/top1"], "epoch": record["epoch"],
                     "run": run.folder.name})  # fmt: skip

    train_run(trial, run, plan, report)


def _teller(job: Search) -> Any:
    """A line a trial that ends."""
    from ray import tune

    class Teller(tune.Callback):
        ended = 0

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
            result, values = trial.last_result, _values(trial.config)
            self.ended += 1
            how = "whole" if result.get("epoch") == job.optim.epochs else "stopped"
            print(
                f"trial {self.ended:>3}  val top-1 {result.get(METRIC, float('nan')):.1%} after "
                f"{result.get('epoch', 0)} epochs ({how}), "
                f"{clock(result.get('time_total_s', 0))}: {values}",
                flush=True,
            )

    return Teller()


def _best(job: Search, study: "optuna.Study") -> bytes:
    """The best config, as `phase1.py --config` takes it."""
    config = asdict(job.trial(study.best_trial.params))
    best = {each.name: config[each.name] for each in fields(Phase1Config)}
    number = len(finished(study))
    head = f"# The best of {number} trials of {job.study}: val top-1 {study.best_value:.1%}.\n"
    return (head + yaml.safe_dump(best, sort_keys=False)).encode()


def _table(study: "optuna.Study") -> list[str]:
    best = sorted(finished(study), key=lambda trial: -(trial.value or 0.0))[:5]
    rows = [f"  {t.value:.1%}  {epochs_of(t):>3} epochs  {_values(t.params)}" for t in best]
    return [f"the best of {len(finished(study))}:", *rows]


def _note(job: Search, study: "optuna.Study") -> str:
    names = ", ".join(job.space)
    done = finished(study)
    best = ""
    if done:
        best = f" Best so far: val top-1 {study.best_value:.1%}, {_values(study.best_params)}."
    return (
        f"A search of {job.trials} trials over {names}, by val top-1 of the fusion (TPE, ASHA with "
        f"{job.grace} epochs of grace).{best}\n\nTo read it: select the trials below, Compare, "
        f"Parallel Coordinates, with the parameters {names} and the metric val/top1."
    )


def _said(dimension: Dimension) -> str:
    if dimension.choices:
        return f"one of {dimension.choices}"
    return f"{dimension.low} to {dimension.high}{', log' if dimension.log else ''}"


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )


def _about(job: Search) -> dict[str, Any]:
    """What the trials have in common, and what they differ in; where the store lies is left out."""
    config = asdict(job)
    common = {each.name: config[each.name] for each in fields(Phase1Config)}
    common["data"] = {**common["data"], "store": ""}
    said = {name: config[name] for name in ("space", "grace", "reduction")}
    return said | {"config": common}
