"""The table of commands."""

import shlex
from dataclasses import is_dataclass

import pytest
import yaml

from hhmnet_platform.commands.main import load
from hhmnet_platform.commands.table import ABOUT, ALIASES, COMMANDS, DEFAULTS, GROUPS


def test_names_lead_to_commands() -> None:
    assert {*ALIASES.values(), *DEFAULTS.values()} <= COMMANDS.keys()
    assert {*DEFAULTS} <= GROUPS.keys()
    assert {each.split()[0] for each in COMMANDS if " " in each} == GROUPS.keys()
    assert all(each.words == words for words, each in COMMANDS.items())
    assert len({each.summary for each in COMMANDS.values()}) == len(COMMANDS)


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_has_two_examples_that_it_accepts_and_a_sentence(words: str) -> None:
    command = COMMANDS[words]
    assert command.summary[0].isupper() and command.summary.endswith(".")
    assert len(command.examples) == len({*command.examples}) == 2
    for example in command.examples:
        assert example.startswith(f"hhmnet {words}") and len(example) <= 98
        assert callable(load("hhmnet", "", shlex.split(example, comments=True)[1:]))


def test_examples_of_the_program_are_accepted() -> None:
    for example in ABOUT[1]:
        assert callable(load("hhmnet", "", shlex.split(example, comments=True)[1:]))


@pytest.mark.parametrize("words", COMMANDS)
def test_options_of_a_command_are_explained(words: str) -> None:
    from hhmnet_platform.scripts.options import options_of

    target, finish = COMMANDS[words].load()
    assert callable(finish) and (is_dataclass(target) or words.startswith(("prepare", "describe")))
    for option in options_of(target).by_name.values():
        assert option.text.endswith((".", ")")), option.name


@pytest.mark.parametrize("words", COMMANDS)
def test_the_defaults_of_a_command_are_printed_and_can_work(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if not is_dataclass(COMMANDS[words].load()[0]):
        return  # its arguments are no config
    with pytest.raises(SystemExit) as ended:
        load("hhmnet", "", [*words.split(), "--print_config"])
    assert ended.value.code == 0
    assert yaml.safe_load(capsys.readouterr().out)
