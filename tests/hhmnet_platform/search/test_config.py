"""Search jobs: trials as runs of the phase, and the best as a config of its script."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from hhmnet_core.errors import InputError
from hhmnet_core.training.optim import OptimConfig
from hhmnet_platform.datasets.builders import prepare_synthetic
from hhmnet_platform.runs.config import Phase1Job, Phase2Job
from hhmnet_platform.runs.phases import phase_of
from hhmnet_platform.runs.resolve import resolve_run
from hhmnet_platform.scripts.cli import parse_config
from hhmnet_platform.search.config import (
    Phase1Search,
    Phase2Search,
    SearchConfig,
    best_config,
    best_job,
    complete_epochs,
    study_identity,
    study_name,
    trial_job,
)
from hhmnet_platform.search.space import Dimension
from hhmnet_platform.storage.workspace import Workspace

SEARCH = Phase1Search(
    optim=OptimConfig(epochs=100), epochs=5, space={"contrast.temperature": Dimension(0.1, 0.5)}
)


def test_trial_is_a_short_run_and_the_best_a_complete_one(tmp_path: Path) -> None:
    trial = trial_job(SEARCH, {"contrast.temperature": 0.3})
    assert type(trial) is Phase1Job
    assert (trial.optim.epochs, trial.contrast.temperature) == (5, 0.3)
    assert best_job(SEARCH, {"contrast.temperature": 0.3}).optim.epochs == 100
    assert trial_job(replace(SEARCH, epochs=None), {}).optim.epochs == 100
    assert (complete_epochs(SEARCH), complete_epochs(replace(SEARCH, epochs=None))) == (5, 100)
    file = tmp_path / "best.yaml"
    file.write_bytes(best_config(SEARCH, {"contrast.temperature": 0.3}, "The best."))
    assert file.read_text().startswith("# The best.\n")
    parsed = parse_config("phase1.py", Phase1Job, ["--config", str(file)])
    assert parsed == best_job(SEARCH, {"contrast.temperature": 0.3})


def test_phase2_is_searched_by_its_video_under_its_guide(tmp_path: Path) -> None:
    search = Phase2Search(phase1="guide", space={"guidance.mode": Dimension(choices=["off"])})
    trial = trial_job(search, {"guidance.mode": "off"})
    assert isinstance(trial, Phase2Job)
    assert (trial.phase1, trial.guidance.mode) == ("guide", "off")
    assert (phase_of(search).objective, phase_of(SEARCH).objective) == ("video", "fusion")
    config = yaml.safe_load(best_config(search, {"guidance.mode": "off"}, "The best."))
    assert config["guidance"]["mode"] == "off" and "phase1" not in config


def test_equal_searches_share_a_study_and_others_do_not(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    prepare_synthetic(store, clips_per_class=10, stream="none")

    def name(search: Phase1Search) -> str:
        first = resolve_run(trial_job(search, {}), Workspace(str(tmp_path)), store)
        assert study_identity(search, first).config["optim.epochs"] == search.epochs
        return study_name(search, first)

    ours = name(SEARCH)
    assert ours.startswith("synthetic-search-")
    assert name(replace(SEARCH, trials=40)) == ours  # more of the same
    assert name(replace(SEARCH, optim=OptimConfig(epochs=50))) == ours  # trials are as before
    for other in (
        replace(SEARCH, epochs=6),
        replace(SEARCH, grace=2),
        replace(SEARCH, space={"contrast.temperature": Dimension(0.1, 0.4)}),
        replace(SEARCH, seed=2),
    ):
        assert name(other) != ours
    assert name(replace(SEARCH, study="mine")) == "mine"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trials": 0}, "trials must be 1 to 100000"),
        ({"epochs": 0}, "epochs must be 1 to 100000"),
        ({"grace": 0}, "grace must be 1 to 100000"),
        ({"reduction": 1}, "reduction must be 2 to 1000"),
    ],
)
def test_numbers_that_cannot_be_are_refused(changes: dict[str, int], message: str) -> None:
    for kind in (SearchConfig, Phase1Search, Phase2Search):
        with pytest.raises(InputError, match=message):
            kind(**changes)
    with pytest.raises(InputError, match="seed must be"):
        Phase1Search(seed=-1)  # the phase's own checks count too
