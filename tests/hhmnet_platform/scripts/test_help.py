"""The help of a command."""

from dataclasses import dataclass, field

import pytest

from hhmnet_platform.pipeline import Pipeline
from hhmnet_platform.runs.config import Phase1Job
from hhmnet_platform.scripts.cli import parse_config
from hhmnet_platform.scripts.help import help_text
from hhmnet_platform.scripts.options import options_of


@dataclass
class Part:
    """A part.

    Attributes:
        width: Width of the part.
    """

    width: int = 3


@dataclass
class Config:
    """A config.

    Attributes:
        model: Model to use.
        seed: Random seed.
        sizes: Sizes of it.
        workers: Number of processes. Default: one per CPU.
        part: Part with a width.
    """

    model: str = ""
    seed: int = 1
    sizes: list[int] = field(default_factory=lambda: [16, 32])
    workers: int | None = None
    part: Part = field(default_factory=Part)


def test_help_begins_with_its_head_and_groups_options_by_what_they_decide() -> None:
    text = help_text("hhmnet do", options_of(Config), "Do it.\n\n  hhmnet do", "done")
    assert text.startswith(
        "Do it.\n\n  hhmnet do\n\nusage: hhmnet do [--config FILE] [--OPTION VALUE ...]"
    )
    what, how = text.index("\nWhat is done:"), text.index("\nHow:")
    where, general = text.index("\nWhere:"), text.index("\nGeneral:")
    assert what < text.index("--model TEXT") < how < text.index("--seed N") < where
    assert how < text.index("--part.width N") < where < text.index("--workers N") < general


@pytest.mark.parametrize(
    "line",
    [
        "Model to use.",
        "Random seed. Default: 1.",
        "Sizes of it. Default: 16 32.",
        "Number of processes. Default: one per CPU.",
        "Width of the part. Default: 3.",
    ],
)
def test_a_default_is_told_once(line: str) -> None:
    lines = [each.strip() for each in help_text("x", options_of(Config)).splitlines()]
    assert [each for each in lines if each.endswith(f"  {line}")]


def test_help_wins_over_errors_and_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_config("hhmnet do", Config, ["--nonsense", "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: hhmnet do")


def test_options_of_a_pipelines_phases_are_grouped_as_those_of_the_phases() -> None:
    text = help_text("x", options_of(Pipeline))
    how, where = text.index("\nHow:"), text.index("\nWhere:")
    assert text.index("--phase1.model.heads") < how < text.index("--phase1.optim.lr") < where
    assert text.index("--phase2.video.widths") < how < text.index("--search.trials") < where


def test_help_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in (80, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = help_text("hhmnet do", options_of(Phase1Job)).splitlines()
        assert max(map(len, lines)) <= min(columns, 100)
