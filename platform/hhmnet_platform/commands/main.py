"""The program `hhmnet`: it finds the command that is meant, and runs it.

It imports nothing that takes time before interrupts are handled, and nothing of a command before
that is known.
"""

from __future__ import annotations

import os
import sys

from hhmnet_core.errors import InputError
from hhmnet_platform.commands.table import ABOUT, ALIASES, COMMANDS, DEFAULTS, GROUPS, Command
from hhmnet_platform.scripts.entry import TYPE_CHECKING, run_script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

_HELP = ("-h", "--help", "help")


def main() -> NoReturn:
    """Run the program `hhmnet`."""
    run_script(lambda: load("hhmnet", "", sys.argv[1:]))


def run(words: str) -> NoReturn:
    """Run a command as a script.

    Args:
        words: The command's first words, such as "train phase1". Those of the command line follow.
    """
    run_script(lambda: load(os.path.basename(sys.argv[0]), words, sys.argv[1:]))


def load(prog: str, words: str, argv: Sequence[str]) -> Callable[[], object]:
    """Parse a command line, and return its work.

    Args:
        prog: Name of the program, for messages.
        words: First words of the command, which the program stands for. "": all of them follow.
        argv: Words after the program.

    Raises InputError for no such command, and for options that it does not take.
    """
    rest = list(argv)
    while words not in COMMANDS:
        if rest and rest[0] in _HELP:
            return lambda: print(_overview(prog, words))
        if not words and rest == ["--version"]:
            return lambda: print(f"hhmnet {_version()}")
        if not words and not rest:
            return lambda: print(_overview(prog, words))
        longer = f"{words} {rest[0]}".strip() if rest else ""
        longer = ALIASES.get(longer, longer)
        if longer in COMMANDS or longer in GROUPS:
            prog, words = f"{prog} {rest.pop(0)}", longer
        elif words in DEFAULTS and (not rest or rest[0].startswith("-")):
            words = DEFAULTS[words]
        else:
            raise _unknown(prog, words, rest)
    from hhmnet_platform.scripts.cli import parse_call

    command = COMMANDS[words]
    target, finish = command.load()
    head = "\n".join([command.summary, "", *_examples(prog, command)])
    call = parse_call(prog, target, rest, head, command.deed)
    return lambda: finish(call())


def _unknown(prog: str, words: str, rest: Sequence[str]) -> InputError:
    """Return the error for a command that is missing or does not exist."""
    from difflib import get_close_matches

    known = _next_words(words)
    listed = ", ".join(known)
    given = rest[0].lower() if rest else ""
    if near := get_close_matches(given, ["--help"] if words else ["--help", "--version"], 1):
        return InputError(f"There is no option {rest[0][:80]} of `{prog}`: did you mean {near[0]}?")
    if not rest or given.startswith("-"):
        return InputError(
            f"A command is missing after `{prog}`: expected {listed}. See `{prog} --help`."
        )
    near = get_close_matches(given, known, 2, 0.5)
    below = [each for each in COMMANDS if not words and given in each.split()[1:]]
    advice = f"did you mean {' or '.join([*near, *below])}?" if near or below else ""
    return InputError(
        f"There is no command {rest[0][:80]!r} of `{prog}`: {advice or f'expected {listed}.'} "
        f"See `{prog} --help`."
    )


def _next_words(words: str) -> list[str]:
    prefix = f"{words} " if words else ""
    found = [each.removeprefix(prefix).split()[0] for each in COMMANDS if each.startswith(prefix)]
    return list(dict.fromkeys(found))


def _overview(prog: str, words: str) -> str:
    """Return the list of commands that begin with these words."""
    examples: list[str] = []
    if words:
        summary, prefix = GROUPS[words][1], f"{words} "
        for each in COMMANDS.values():
            if each.words.startswith(prefix):
                examples += each.examples[:1]
        entries = {each: COMMANDS[prefix + each].summary for each in _next_words(words)}
    else:
        summary, examples = ABOUT
        entries = dict(_entry(each) for each in _next_words(""))
    width = max(map(len, entries))
    lines = [
        *(summary, ""),
        *(f"  {_as_typed(prog, words, each)}" for each in examples[:2]),
        *("", f"usage: {prog} COMMAND [--OPTION VALUE ...]", "", "Commands:"),
        *(f"  {name:<{width}}  {text}" for name, text in entries.items()),
        *("", f"`{prog} COMMAND --help` explains a command and its options."),
    ]
    return "\n".join(lines)


def _entry(word: str) -> tuple[str, str]:
    """Return how a command or a group is listed, and what it does."""
    return GROUPS[word] if word in GROUPS else (word, COMMANDS[word].summary)


def _examples(prog: str, command: Command) -> list[str]:
    return [f"  {_as_typed(prog, command.words, each)}" for each in command.examples]


def _as_typed(prog: str, words: str, example: str) -> str:
    """Return an example, which begins with `hhmnet`, as this program is called."""
    typed = f"hhmnet {words}".strip()
    return example.replace(typed, prog, 1) if prog.split()[0] != "hhmnet" else example


def _version() -> str:
    from importlib.metadata import version

    return version("hhmnet-ray")
