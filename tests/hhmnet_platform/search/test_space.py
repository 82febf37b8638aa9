"""The space of a search: the config's own fields, with values that the config accepts."""

from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hhmnet_core.errors import InputError
from hhmnet_platform.runs.config import Phase1Job, Phase2Job
from hhmnet_platform.scripts.cli import parse_config
from hhmnet_platform.search.config import Phase2Search
from hhmnet_platform.search.space import Dimension, distributions, parse_dimension


def test_distributions_follow_the_fields() -> None:
    space = {
        "contrast.temperature": Dimension(0.03, 0.5, log=True),
        "contrast.weight": Dimension(0, 1),
        "optim.batch": Dimension(8.0, 32.0),
        "model.mask": Dimension(choices=[True, False]),
        "optim.lr": Dimension(choices=[0.001, 1]),
        "augment.roll": Dimension(0, 30),  # null by default
    }
    found = distributions(Phase1Job(), space)
    assert found == {
        "contrast.temperature": FloatDistribution(0.03, 0.5, log=True),
        "contrast.weight": FloatDistribution(0.0, 1.0),
        "optim.batch": IntDistribution(8, 32),
        "model.mask": CategoricalDistribution([True, False]),
        "optim.lr": CategoricalDistribution([0.001, 1.0]),
        "augment.roll": FloatDistribution(0.0, 30.0),
    }


def test_off_is_a_word_though_yaml_reads_it_as_false(tmp_path: Path) -> None:
    file = tmp_path / "search.yaml"
    file.write_text("space: {guidance.mode: {choices: [off, uniform]}}")
    space = parse_config("search.py", Phase2Search, ["--config", str(file)]).space
    assert distributions(Phase2Job(), space) == {
        "guidance.mode": CategoricalDistribution(["off", "uniform"])
    }


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, r"space is missing: give fields to search, such as contrast\.temperature"),
        ({"contrast.temprature": Dimension(0.1, 0.5)}, "is not a field .*contrast has weight"),
        ({"contrast": Dimension(0.1, 0.5)}, "space.contrast is not a field that can be searched"),
        ({"nothing.there": Dimension(0.1, 0.5)}, "GROUP.FIELD of data, model, augment, contrast"),
        ({1: Dimension(0.1, 0.5)}, "space.1 is not a field"),
        ({"workers": Dimension(1, 2)}, "space.workers is not a field that can be searched"),
        ({"seed": Dimension(1, 2)}, "space.seed is not a field that can be searched"),
        (
            {"data.selection": Dimension(choices=["literature"])},
            "selects on the validation split",
        ),
        ({"data.store": Dimension(choices=["a", "b"])}, "on different data cannot be compared"),
        ({"optim.epochs": Dimension(2, 5)}, "--epochs sets the length of a trial"),
        ({"model.widths": Dimension(choices=[16])}, "neither a number nor a word"),
        ({"contrast.temperature": Dimension(choices=["a"])}, "finite numbers, but has 'a'"),
        ({"contrast.temperature": Dimension(choices=[None, 0.1])}, "finite numbers, but has None"),
        ({"contrast.temperature": Dimension(choices=[False, 1])}, "finite numbers, but has False"),
        ({"contrast.temperature": Dimension(0.1, float("inf"))}, "finite numbers, but has inf"),
        ({"optim.batch": Dimension(4, float("inf"))}, "whole numbers, but has inf"),
        ({"optim.batch": Dimension(4.2, 4.9)}, "whole numbers, but has 4.2"),
        ({"optim.batch": Dimension(choices=[8, 8])}, "has a choice twice"),
        ({"model.rerank": Dimension(choices=["false"])}, "true or false, but has 'false'"),
        ({"optim.lr": Dimension()}, "either low and high, or choices"),
        ({"optim.lr": Dimension(0.1, 0.2, choices=[0.1])}, "either low and high, or choices"),
        ({"optim.lr": Dimension(0.2, 0.1)}, "must have low < high"),
        ({"optim.lr": Dimension(0.0, 0.1, log=True)}, "low > 0 with log"),
        ({"model.mask": Dimension(0, 1)}, "is not a number, so it needs choices"),
        ({"contrast.temperature": Dimension(0.0, 0.5)}, "contrast.temperature must be above 0"),
        ({"optim.name": Dimension(choices=["adamw", "lion"])}, "lion"),
    ],
)
def test_malformed_spaces_are_named(space: dict[Any, Dimension], message: str) -> None:
    with pytest.raises(InputError, match=message):
        distributions(Phase1Job(), space)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([0.1, 0.5], "is \\[0.1, 0.5\\], but expected {low: ..., high: ...}"),
        (None, "is None, but expected"),
        ({"lo": 0.1, "high": 0.5}, "but expected {low"),
        ({"choices": 3}, "choices must be a list, but is 3"),
        ({"low": 0.1, "high": 0.5, "log": "yes"}, "log must be true or false"),
    ],
)
def test_dimensions_that_cannot_be_read_are_named(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"space.optim.lr.*{message}"):
        parse_dimension("optim.lr", given)
