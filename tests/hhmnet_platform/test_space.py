"""What a search may change: the config's own fields, with values that the config takes."""

from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hhmnet_core.errors import InputError
from hhmnet_platform.job import Phase1Job, Phase2Job
from hhmnet_platform.scripts import given
from hhmnet_platform.search_job import Phase2Search
from hhmnet_platform.space import Dimension, configured, distributions


def test_distributions_follow_the_fields() -> None:
    space = {
        "contrast.temperature": Dimension(0.03, 0.5, log=True),
        "optim.epochs": Dimension(2, 5),
        "model.mask": Dimension(choices=[True, False]),
    }
    assert distributions(Phase1Job(), space) == {
        "contrast.temperature": FloatDistribution(0.03, 0.5, log=True),
        "optim.epochs": IntDistribution(2, 5),
        "model.mask": CategoricalDistribution([True, False]),
    }


def test_off_is_a_word_though_yaml_reads_it_as_false(tmp_path: Path) -> None:
    file = tmp_path / "search.yaml"
    file.write_text("space: {guidance.mode: {choices: [off, 'off', uniform]}}")
    space = given("search.py", None, Phase2Search, ["--config", str(file)]).space
    assert distributions(Phase2Job(), space) == {
        "guidance.mode": CategoricalDistribution(["off", "off", "uniform"])
    }


def test_values_go_where_they_belong_and_nowhere_else() -> None:
    job = Phase1Job()
    changed = configured(job, {"contrast.temperature": 0.2, "optim.epochs": 5, "seed": 4})
    assert (changed.contrast.temperature, changed.optim.epochs, changed.seed) == (0.2, 5, 4)
    assert (job.contrast.temperature, job.seed) == (0.1, 1)
    assert configured(changed, {"contrast.temperature": 0.1, "optim.epochs": 12, "seed": 1}) == job


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({}, "space is missing"),
        ({"contrast.temprature": Dimension(0.1, 0.5)}, "is no field .*contrast has weight"),
        ({"contrast": Dimension(0.1, 0.5)}, "space.contrast is no field"),
        ({"nothing.there": Dimension(0.1, 0.5)}, "space.nothing.there is no field"),
        ({"optim.lr": Dimension()}, "either low and high, or choices"),
        ({"optim.lr": Dimension(0.1, 0.2, choices=[0.1])}, "either low and high, or choices"),
        ({"optim.lr": Dimension(0.2, 0.1)}, "must have low < high"),
        ({"optim.lr": Dimension(0.0, 0.1, log=True)}, "low > 0 with log"),
        ({"model.mask": Dimension(0, 1)}, "is no number, so it needs choices"),
        ({"contrast.temperature": Dimension(0.0, 0.5)}, "contrast.temperature must be above 0"),
        ({"optim.name": Dimension(choices=["adamw", "lion"])}, "lion"),
    ],
)
def test_bad_spaces_are_named(space: dict[str, Dimension], said: str) -> None:
    with pytest.raises(InputError, match=said):
        distributions(Phase1Job(), space)
