"""Every recipe is a config that the script takes, and says how it was measured, or that not."""

from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from hhmnet_platform.runs.config import Phase1Job, Phase2Job
from hhmnet_platform.search.config import Phase1Search

CONFIGS = sorted((Path(__file__).parents[1] / "experiments" / "configs").glob("*.yaml"))


@pytest.mark.parametrize("recipe", CONFIGS, ids=lambda path: path.stem)
def test_a_recipe_is_a_config_and_opens_with_what_it_gives(recipe: Path) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    kind = {"phase2": Phase2Job, "search": Phase1Search}.get(recipe.stem.split("_")[0], Phase1Job)
    parser.add_class_arguments(kind)
    values = parser.instantiate(parser.parse_args([f"--config={recipe}"]))
    assert values.data.selection == ("val" if kind is Phase1Search else "literature")
    assert not values.data.store
    head = [line for line in recipe.read_text().splitlines() if line.startswith("#")]
    assert f"--config experiments/configs/{recipe.name}" in "\n".join(head)
    assert "not yet measured" in "\n".join(head).lower() or "%" in "\n".join(head)


def test_there_are_recipes() -> None:
    assert {path.stem for path in CONFIGS} >= {"nw_ucla", "nw_ucla_cpu", "ntu60_xsub"}
