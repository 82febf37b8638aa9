"""Trials under Ray Tune: how many run at once, and how they are shown."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from optuna.distributions import FloatDistribution
from ray import cloudpickle

from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.search.config import METRIC
from hhmnet_platform.search.storage import open_storage
from hhmnet_platform.search.tune import (
    display_callback,
    max_concurrent_trials,
    searcher_type,
)


@pytest.mark.parametrize(
    ("nodes", "workers", "gpu", "trials"),
    [
        (((4, 0),), 2, False, 2),
        (((4, 0),), 3, False, 1),
        (((1, 0),), 2, False, 1),  # the plan may wait for nodes
        (((16, 4), (16, 4)), 2, True, 4),
    ],
)
def test_trials_whose_workers_fit_at_once(
    nodes: tuple[tuple[int, int], ...], workers: int, gpu: bool, trials: int
) -> None:
    plan = MeshPlan((workers,), 1, gpu, 1)
    assert max_concurrent_trials(plan, Resources("the cluster", nodes)) == trials


class Display:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def started(self, trial: str, values: dict[str, float]) -> None:
        self.calls.append(("started", trial, values))

    def reported(self, trial: str, result: dict[str, float]) -> None:
        self.calls.append(("reported", trial, result))

    def ended(self, trial: str, error: bool = False) -> None:
        self.calls.append(("ended", trial, error))


def test_callback_shows_what_tune_reports() -> None:
    display, trial = Display(), SimpleNamespace(trial_id="a", config={"optim.lr": 0.1})
    callback = display_callback(display)  # type: ignore[arg-type]
    callback.on_trial_start(0, [], trial)
    callback.on_trial_result(1, [], trial, {"epoch": 1})
    callback.on_trial_complete(2, [], trial)
    callback.on_trial_error(3, [], trial)
    assert display.calls == [
        ("started", "a", {"optim.lr": 0.1}),
        ("reported", "a", {"epoch": 1}),
        ("ended", "a", False),
        ("ended", "a", True),
    ]
    assert callback.__getstate__() == {}  # Tune pickles callbacks, a terminal cannot be


def test_searcher_writes_nothing_of_its_storage(tmp_path: Path) -> None:
    """Tune pickles it into the workspace, where the password of a database would be read."""
    storage = open_storage(f"sqlite:///{tmp_path / 'hidden.db'}", tmp_path)
    searcher = searcher_type()(
        {"optim.lr": FloatDistribution(0.1, 0.5)},
        metric=METRIC,
        mode="max",
        study_name="mine",
        storage=storage.backend,
    )
    assert b"hidden" in cloudpickle.dumps(storage.backend)
    assert b"hidden" not in cloudpickle.dumps(searcher)
    before = sorted(tmp_path.iterdir())
    searcher.save_to_dir(str(tmp_path))
    assert sorted(tmp_path.iterdir()) == before
