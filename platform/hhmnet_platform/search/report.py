"""Files of a search: the best config, all trials, and plots of the searched fields."""

import json
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from hhmnet_core.identity import JsonObject
from hhmnet_platform.presentation.drawing import Drawing, draw_figures

if TYPE_CHECKING:
    import optuna

MIN_TRIALS = 4  # for an estimate of importances


def finished_trials(study: "optuna.Study") -> list["optuna.trial.FrozenTrial"]:
    """Return the trials that are complete or were stopped by ASHA."""
    return [t for t in study.get_trials(deepcopy=False) if t.state.name == "COMPLETE"]


def trial_epochs(trial: "optuna.trial.FrozenTrial") -> int:
    """Return the number of epochs that a trial was trained for."""
    return int(trial.user_attrs["epochs"])


def trial_seconds(trial: "optuna.trial.FrozenTrial") -> float:
    """Return the duration of a trial, since it was last resumed."""
    return float(trial.user_attrs["seconds"])


def report_files(
    study: "optuna.Study", best: bytes, names: tuple[str, ...], epochs: int
) -> dict[str, bytes]:
    """Return best.yaml, every trial as JSON, and plots, by file name.

    Args:
        study: A study with at least one finished trial.
        best: The best config.
        names: Names of the searched fields.
        epochs: Epochs of a complete trial.
    """
    trials: list[JsonObject] = [
        {
            "number": trial.number,
            "val_top1": trial.value,
            "epochs": trial_epochs(trial),
            "seconds": trial_seconds(trial),
            "run": trial.user_attrs["run"],
            "values": trial.params,
        }
        for trial in finished_trials(study)
    ]
    drawings: dict[str, Drawing] = {"slices.png": lambda: _slices(trials, study, names, epochs)}
    if len(trials) >= MIN_TRIALS and len({trial["val_top1"] for trial in trials}) > 1:
        drawings["importance.png"] = lambda: _importance(study)
    return {
        "best.yaml": best,
        "trials.json": (json.dumps(trials, indent=2) + "\n").encode(),
        **draw_figures(drawings),
    }


def _slices(
    trials: list[JsonObject], study: "optuna.Study", names: tuple[str, ...], epochs: int
) -> Figure:
    figure = Figure(figsize=(4 * len(names) + 1, 3.6), layout="constrained")
    axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    distributions = study.best_trial.distributions
    for axis, name in zip(axes, names, strict=True):
        points = axis.scatter(
            [trial["values"][name] for trial in trials],
            [trial["val_top1"] for trial in trials],
            c=[trial["epochs"] for trial in trials],
            cmap="viridis",
            vmin=1,
            vmax=max(2, epochs),
        )
        if getattr(distributions[name], "log", False):
            axis.set_xscale("log")
        axis.set_xlabel(name)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("val top-1")
    figure.colorbar(points, ax=axes, label="epochs trained")
    return figure


def _importance(study: "optuna.Study") -> Figure:
    from optuna.importance import get_param_importances

    importance = dict(reversed(get_param_importances(study).items()))
    figure = Figure(figsize=(6, 1.2 + 0.5 * len(importance)), layout="constrained")
    axis = figure.subplots()
    axis.barh(list(importance), list(importance.values()), color="#1f5fbf")
    axis.set(xlabel="importance (PED-ANOVA) among the searched fields", xlim=(0, 1))
    return figure
