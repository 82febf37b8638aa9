"""Option cases: every command has a base, and ends of commands are judged."""

from pathlib import Path

from faults.option_values import SHAPES
from faults.options import (
    BASES,
    WHOLE,
    Option,
    OptionCase,
    arguments,
    commands,
    judge_command,
    option_cases,
)

CASE = OptionCase(Option("train phase1", "optim.lr", has_config=True), "text")


def test_every_command_has_a_base_that_it_knows() -> None:
    found = commands()
    assert found.keys() == BASES.keys()
    for command, options in found.items():
        assert BASES[command].keys() <= options.by_name.keys(), command


def test_all_options_have_cases() -> None:
    cases = option_cases(1, WHOLE)
    assert len(cases) >= 400 and CASE.option in {case.option for case in cases}
    assert cases == option_cases(1, WHOLE) != option_cases(2, WHOLE)


def test_fault_replaces_the_valid_value(tmp_path: Path) -> None:
    words = arguments(OptionCase(Option("train phase1", "model.heads", True), "negative"), tmp_path)
    assert "--model.heads=-1" in words and "--model.heads=2" not in words
    assert f"--workspace={tmp_path}/workspace" in words
    assert {"--model.head=2"} <= set(
        arguments(OptionCase(Option("train phase1", "model.heads", True), "abbreviated"), tmp_path)
    )
    assert "abbreviated" in SHAPES


def test_commands_are_judged() -> None:
    def judge(code: int, output: str, case: OptionCase = CASE) -> str:
        return judge_command(case, code, output)[0]

    assert judge(2, "error: optim.lr is 'some text', expected a number.\n") == "refused"
    assert judge(2, "error: It is no number.\n") == "unclear"
    assert judge(2, "a line\n") == "unclear"
    assert judge(1, "error: optim.lr\n") == "unclear"
    assert judge(1, "Traceback (most recent call last):\nKeyError: 'a'\n") == "traceback"
    assert judge(0, "the plan\n") == "accepted"
    assert judge(0, "", OptionCase(CASE.option, "longer")) == "unclear"
