"""Recipes by name."""

from pathlib import Path

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.scripts.recipes import find_recipe, recipes


def test_recipes_are_those_of_the_checkout() -> None:
    folder = Path(__file__).parents[3] / "experiments" / "configs"
    assert recipes() == {each.stem: each for each in folder.glob("*.yaml")}


def test_a_file_wins_over_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_recipe("nw_ucla_cpu") == recipes()["nw_ucla_cpu"]
    Path("nw_ucla_cpu").touch()
    assert find_recipe("nw_ucla_cpu") == Path("nw_ucla_cpu")


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("nw_ucla_cp", "did you mean nw_ucla_cpu"),
        ("elsewhere/nw_ucla_cpu.yaml", "did you mean nw_ucla_cpu"),
        ("zzzzz", "recipes are bench_context, bench_defaults, bench_motion, bench_re_dmt, "),
    ],
)
def test_what_does_not_exist_is_told_with_what_is_near(given: str, advice: str) -> None:
    with pytest.raises(InputError) as caught:
        find_recipe(given)
    assert str(caught.value).startswith(
        f"There is no config file {given}, and no recipe of this name: "
    )
    assert advice in str(caught.value)
