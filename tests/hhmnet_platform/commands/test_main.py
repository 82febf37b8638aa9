"""The program `hhmnet`: finding a command, its help, and what stands in for it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.commands.main import load
from hhmnet_platform.commands.table import COMMANDS, GROUPS

ROOT = Path(__file__).parents[3]
SHOWS_MODULES = """
import os, sys
end, sys.argv[0] = os._exit, "hhmnet"
os._exit = lambda code: (print(*sys.modules, flush=True), end(code))
from hhmnet_platform.commands.main import main
main()
"""
HEAVY = {"jsonargparse", "matplotlib", "mlflow", "numpy", "optuna", "ray", "rich", "torch"}


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    load("hhmnet", "", argv)()
    return capsys.readouterr().out


def test_all_commands_are_listed_in_the_order_of_use(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "--help")
    listed = re.findall(r"^  ([a-z]+)\b.*  \S", text.partition("Commands:")[2], re.MULTILINE)
    assert " ".join(listed) == (
        "prepare describe train pipeline test predict export serve search fuse ensemble ablate "
        "runs ui"
    )
    assert text.index("  hhmnet pipeline") < text.index("usage: hhmnet COMMAND")
    assert max(map(len, text.splitlines())) <= 100
    assert printed(capsys) == printed(capsys, "help") == text


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_lists_its_commands(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, group, "--help")
    assert text.startswith(f"{GROUPS[group][1]}\n\n  hhmnet {group} ")
    for words in (each for each in COMMANDS if each.startswith(f"{group} ")):
        assert re.search(
            rf"^  {words.split()[1]}\s+{re.escape(COMMANDS[words].summary)}$", text, re.M
        )


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert re.fullmatch(r"hhmnet \d+\.\d+\.\d+\S*\n", printed(capsys, "--version"))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["trian"], "There is no command 'trian' of `hhmnet`: did you mean train?"),
        (["phase1"], "did you mean train phase1 or search phase1 or ablate phase1?"),
        (["train"], "A command is missing after `hhmnet train`: expected phase1, phase2."),
        (["train", "phase3"], "no command 'phase3' of `hhmnet train`: did you mean phase"),
        (["prepare", "zzz"], "expected nw_ucla, ntu, utd_mhad, own, poses, pyskl, ctr_gcn"),
        (["--dry-run"], "A command is missing after `hhmnet`: expected prepare, describe, train"),
        (["--hlep"], "There is no option --hlep of `hhmnet`: did you mean --help?"),
        (["--Version"], "no option --Version of `hhmnet`: did you mean --version?"),
        (["train", "--hlp"], "no option --hlp of `hhmnet train`: did you mean --help?"),
        (["train", "phase1", "--hlep"], "There is no option --hlep: did you mean --help?"),
        (["TRAIN"], "There is no command 'TRAIN' of `hhmnet`: did you mean train?"),
        (["Phase1"], "did you mean train phase1 or search phase1 or ablate phase1?"),
        (["train", "PHASE2"], "no command 'PHASE2' of `hhmnet train`: did you mean phase2"),
        (["train", "phase1", "--lr", "1"], "--optim.lr? See `hhmnet train phase1 --help`"),
        (["search", "--lr=1"], "did you mean --optim.lr? See `hhmnet search --help`"),
        (["search", "phase2", "--lr=1"], "See `hhmnet search phase2 --help`"),
        (["ablate", "--lr=1"], "did you mean --optim.lr? See `hhmnet ablate --help`"),
        (["prepare", "describe"], "--store is missing"),
    ],
)  # fmt: skip
def test_what_is_no_command_is_one_line(argv: list[str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        load("hhmnet", "", argv)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("words", COMMANDS)
def test_help_of_a_command_begins_with_a_sentence_and_two_examples(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        load("hhmnet", "", [*words.split(), "--help"])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"[A-Z].*\.", lines[0]) and lines[1] == lines[4] == ""
    assert all(line.startswith(f"  hhmnet {words}") for line in lines[2:4])
    assert lines[5].startswith(f"usage: hhmnet {words} [--") and lines[5].endswith("VALUE ...]")


SCRIPTS = {
    path.stem: re.findall(r'^    run\("(.*)"\)$', path.read_text(), re.MULTILINE)
    for path in (ROOT / "experiments").glob("*.py")
}


def test_every_script_is_a_command_or_a_group_of_them() -> None:
    stand_for = [words for (words,) in SCRIPTS.values()]
    assert len(set(stand_for)) == len(stand_for) >= 14
    covered = {
        each for each in COMMANDS for words in stand_for if f"{each} ".startswith(f"{words} ")
    }
    assert covered | {"describe"} == COMMANDS.keys()


def test_a_script_speaks_of_itself(capsys: pytest.CaptureFixture[str]) -> None:
    load("prepare.py", "prepare", ["--help"])()
    assert "\n  prepare.py nw_ucla --source" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"See `search.py phase2 --help`"):
        load("search.py", "search", ["phase2", "--lr=1"])
    with pytest.raises(SystemExit):
        load("phase1.py", "train phase1", ["--help"])
    assert "\n  phase1.py --config nw_ucla_cpu" in capsys.readouterr().out


@pytest.mark.parametrize("argv", [(), ("--help",), ("train", "--help"), ("trian",)])
def test_nothing_heavy_is_imported_before_a_command_is_known(argv: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHOWS_MODULES, *argv], capture_output=True, text=True, timeout=60
    )
    assert done.returncode in (0, 2)
    modules = {*done.stdout.split()}
    assert "hhmnet_platform.commands.main" in modules and not HEAVY & modules
