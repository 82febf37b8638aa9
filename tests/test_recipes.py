"""Recipes: each is a config that its script accepts, and states its command and its accuracy."""

import re
from pathlib import Path

import pytest
import yaml

from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.ablation.design import read_design
from hhmnet_platform.ablation.variants import phase1_ablation
from hhmnet_platform.runs.config import Phase1Job, Phase2Job
from hhmnet_platform.scripts.cli import parse_config
from hhmnet_platform.search.config import Phase1Search

CONFIGS = Path(__file__).parents[1] / "experiments" / "configs"
BENCHES = sorted(CONFIGS.glob("bench_*.yaml"))
RECIPES = sorted({*CONFIGS.glob("*.yaml")} - {*BENCHES})
KINDS = {"phase2": Phase2Job, "search": Phase1Search}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipe_is_a_config_and_begins_with_its_command_and_accuracy(recipe: Path) -> None:
    kind = KINDS.get(recipe.stem.split("_")[0], Phase1Job)
    config = parse_config("recipe", kind, [f"--config={recipe}"])
    assert config.data.selection == (
        "val" if kind is Phase1Search or recipe.stem == "demo" else "literature"
    )
    assert not config.data.store
    comments = [line for line in recipe.read_text().splitlines() if line.startswith("#")]
    head = "\n".join(comments)
    assert re.search(rf"hhmnet [^#]*(?:\\\n# [^#]*)?--config {recipe.stem}\b", head)
    assert "not yet measured" in head or "%" in head


def test_recipes_of_both_editions_of_ntu_have_the_values_that_they_claim() -> None:
    sixty, hundred_twenty = (CONFIGS / f"ntu{edition}_xsub.yaml" for edition in (60, 120))
    assert "The values are those of ntu60_xsub.yaml." in hundred_twenty.read_text()
    assert yaml.safe_load(sixty.read_text()) == yaml.safe_load(hundred_twenty.read_text())


@pytest.mark.parametrize("bench", BENCHES, ids=lambda path: path.stem)
def test_bench_is_a_design_whose_variants_fit_the_config(bench: Path) -> None:
    design = read_design(bench.stem)
    assert f"--variants_file {bench.stem} " in bench.read_text()
    assert design.threshold and "threshold: {" in bench.read_text()
    subject = phase1_ablation(Phase1Config(), design.variants, design.reference)
    configs = [subject.variant(Phase1Config(), name, 1) for name in subject.variants]
    assert len({str(subject.identity(config)) for config in configs}) == len(configs)


def test_there_are_recipes() -> None:
    assert {path.stem for path in RECIPES} >= {"nw_ucla", "nw_ucla_cpu", "ntu60_xsub"}
