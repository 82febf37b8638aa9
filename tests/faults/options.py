"""Every option of every command, given what it does not expect.

Options are taken from the commands' own tables, so new ones join by themselves. A new command needs
an entry in `BASES` with arguments that it can be carried out with; a test says so.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import takewhile
from pathlib import Path
from random import Random
from typing import Any, NoReturn

from earlier_version import PHASE1, PHASE2
from faults.cases import Log, judge_end
from faults.examples import EXAMPLES
from faults.isolated import run_cases
from faults.option_values import IN_A_FILE, REFUSED, SHAPES, VALUES

from hhmnet_platform.commands.main import main
from hhmnet_platform.commands.table import COMMANDS
from hhmnet_platform.scripts.entry import EXIT_INPUT
from hhmnet_platform.scripts.options import Options, options_of

LONGEST_LINE = 1500  # characters of an error message
SECONDS = 120.0  # some cases are processes that import everything anew
SAMPLE, WHOLE = 1, 6  # faults of each option in a sample, and in a whole run
PROCESS_EVERY = 50  # one in so many cases runs in an interpreter of its own

# Arguments with which each command can be carried out; {} is the folder of the case.
_STORE, _WORKSPACE = {"data.store": "{}/store"}, {"workspace": "{}/workspace"}
_TINY = {"model.widths": "[16,16]", "model.heads": "2", "optim.epochs": "2", "optim.batch": "8"}
_TINY2 = {"video.widths": "[8,16]", "video.depths": "[1,1]", "optim.epochs": "2"}
_ABLATED = {"seeds": "[1]", "variants": "[all]", "processes": "1", "out": "{}/out.jsonl"}
_GUIDE = {"phase1": PHASE1}
_MADE = {"store": "{}/made", "workers": "1"}
BASES: dict[str, dict[str, str]] = {
    "train phase1": _STORE | _WORKSPACE | _TINY,
    "train phase2": _STORE | _WORKSPACE | _TINY2 | _GUIDE,
    "pipeline": _STORE | _WORKSPACE,
    "search phase1": _STORE | _WORKSPACE | _TINY | {"space": "{optim.lr: {low: 0.01, high: 0.1}}"},
    "search phase2": _STORE | _WORKSPACE | _TINY2 | _GUIDE
    | {"space": "{optim.lr: {low: 0.01, high: 0.1}}"},
    "search fusion": _WORKSPACE | {"runs": f"[{PHASE1},{PHASE2}]", "trials": "1"},
    "fuse": _WORKSPACE | {"runs": f"[{PHASE1}]"},
    "export": _STORE | _WORKSPACE | {"model": PHASE1, "out": "{}/exported"},
    "predict": _WORKSPACE | {"model": PHASE1, "input": "{}/store"},
    "test": _STORE | _WORKSPACE | {"model": PHASE1},
    "ui": _WORKSPACE,
    "runs list": _WORKSPACE,
    "runs show": _WORKSPACE | {"runs": f"[{PHASE1}]"},
    "runs delete": _WORKSPACE | {"runs": f"[{PHASE1}]"},
    "serve": _WORKSPACE | {"model": PHASE1, "port": "0"},
    "ensemble": _WORKSPACE | {"experiment": "example/cross-view"},
    "ablate phase1": _STORE | _WORKSPACE | _ABLATED | _TINY,
    "ablate phase2": _STORE | _WORKSPACE | _ABLATED | _TINY2 | _GUIDE,
    "prepare ntu": _MADE | {"source": "{}/files"},
    "prepare nw_ucla": _MADE | {"source": "{}/nw_ucla.zip"},
    "prepare utd_mhad": _MADE | {"source": "{}"},
    "prepare own": _MADE | {"index": "{}/clips.csv", "layout": "{}/stick.yaml"},
    "prepare poses": _MADE | {"videos": "{}", "labels": "{}/videos.csv"},
    "prepare pyskl": {"store": "{}/made", "source": "{}/field.pkl"},
    "prepare ctr_gcn": {"store": "{}/made", "source": "{}/field.npz"},
    "prepare synthetic": _MADE | {"clips_per_class": "3", "stream": "none"},
    "prepare verify": {"store": "{}/store"},
    "describe": {"store": "{}/store", "figure": "{}/figure.png"},
}  # fmt: skip
_EXAMPLE_OF = {
    "prepare ntu": "ntu",
    "prepare nw_ucla": "nw_ucla",
    "prepare utd_mhad": "utd_mhad",
    "prepare own": "own",
    "prepare poses": "poses",
    "prepare pyskl": "field",
    "prepare ctr_gcn": "field",
    "prepare synthetic": "store",
    "prepare verify": "store",
    "describe": "store",
}


@dataclass(frozen=True)
class Option:
    """An option of a command: its dotted name, and whether it is a group of options."""

    command: str
    name: str
    has_config: bool


@dataclass(frozen=True)
class OptionCase:
    option: Option
    fault: str

    @property
    def id(self) -> str:
        return f"option/{self.option.command}/{self.option.name}-{self.fault}"


@cache
def commands() -> dict[str, Options]:
    """Return the options of every command, by its words."""
    return {words: options_of(command.load()[0]) for words, command in COMMANDS.items()}


def options() -> list[Option]:
    """Return every option of every command."""
    return [
        Option(command, name, found.has_config)
        for command, found in commands().items()
        for name in [
            *(["config"] if found.has_config else []),
            *found.by_name,
            *sorted(found.groups),
        ]
    ]


def option_cases(seed: int, each: int | None) -> list[OptionCase]:
    """Return cases of a run: so many faults of each option, None for all of them."""
    cases = []
    for option in options():
        faults = [*VALUES, *SHAPES, *(IN_A_FILE if option.has_config else ())]
        if each is not None:
            faults = Random(f"{seed}/{option}").sample(faults, each)
        cases += [OptionCase(option, fault) for fault in faults]
    return cases


def run_option_cases(
    cases: list[OptionCase], log: Log, work: Path, slots: int, goes_on: Callable[[], bool]
) -> None:
    """Run cases, each in a folder of its own, as long as `goes_on`; record the outcomes."""
    examples: dict[str, Path] = {}
    for name in sorted({_EXAMPLE_OF.get(case.option.command, "workspace") for case in cases}):
        examples[name] = work / "option examples" / name
        shutil.rmtree(examples[name], ignore_errors=True)
        examples[name].mkdir(parents=True)
        EXAMPLES[name](examples[name])
    functions = (
        (case.id, partial(_run, case, examples, work / "option"))
        for case in takewhile(lambda _: goes_on(), cases)
    )
    for name, ended in run_cases(functions, work / "option forks", slots, SECONDS):
        log.add(judge_end(ended, name))
    shutil.rmtree(work / "option", ignore_errors=True)


def arguments(case: OptionCase, folder: Path) -> list[str]:
    """Return the words of a case's command line, after `hhmnet`."""
    base, name = dict(BASES[case.option.command]), case.option.name
    valid = base.pop(name, "1")
    words = [f"--{each}={value.replace('{}', str(folder))}" for each, value in base.items()]
    valid = valid.replace("{}", str(folder))
    if case.fault in IN_A_FILE:
        file = folder / "fault.yaml"
        file.write_text(_as_yaml(name, IN_A_FILE[case.fault]))
        words.append(f"--config={file}")
    elif case.fault in SHAPES:
        words += SHAPES[case.fault](name, valid)
    else:
        words.append(f"--{name}={VALUES[case.fault]}")
    return [*case.option.command.split(), *words]


def _as_yaml(name: str, value: str) -> str:
    lines = [f"{'  ' * depth}{word}:" for depth, word in enumerate(name.split("."))]
    escaped = value.replace("\0", "\\0")
    return "\n".join(lines) + f' "{escaped}"\n'


def _run(case: OptionCase, examples: Mapping[str, Path], work: Path) -> tuple[str, str]:
    """Run a case in this process, or in one that it starts; return its outcome and detail."""
    # A dry run trains a few steps, which torch cannot do in a fork of a process that used it.
    is_process = case.option.name == "dry_run" or not Random(case.id).randrange(PROCESS_EVERY)
    folder = work / str(os.getpid())
    shutil.copytree(
        examples[_EXAMPLE_OF.get(case.option.command, "workspace")], folder, dirs_exist_ok=True
    )
    try:
        at = folder / "a" / "b"  # ../../x stays within the folder
        at.mkdir(parents=True)
        os.chdir(at)
        os.environ |= {"HHMNET_CACHE": str(folder / "own cache"), "HOME": str(folder)}
        words = arguments(case, folder)
        trains = case.option.command in ("train phase1", "train phase2")
        if is_process and trains and case.option.name != "dry_run":
            words.append("--dry_run=true")  # which measures training steps
        print(f"hhmnet {words!r}"[:2000], flush=True)
        if is_process and not any("\0" in word for word in words):
            code, output = _in_a_process(words)
        else:
            code, output = _in_this_process(words)
        return judge_command(case, code, output)
    finally:
        os.chdir(work)
        shutil.rmtree(folder, ignore_errors=True)


def _in_a_process(words: list[str]) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", _STARTER, *words],
        capture_output=True,
        timeout=SECONDS,
    )
    output = (done.stdout + done.stderr).decode(errors="replace")
    print(output)
    return done.returncode, output


# A process of its own that starts neither Ray nor training.
_STARTER = """
import sys
from faults.options import start_nothing
sys.argv[0] = "hhmnet"
import hhmnet_platform.cluster.session
from hhmnet_platform.commands.main import main
start_nothing()
main()
"""


def _in_this_process(words: list[str]) -> tuple[int, str]:
    log = Path(os.readlink("/proc/self/fd/1"))
    before = log.stat().st_size
    start_nothing()
    sys.argv = ["hhmnet", *words]
    code: Any = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return int(code or 0), log.read_bytes()[before:].decode(errors="replace")


def start_nothing() -> None:
    """Let commands end, with code 0, where they would start Ray or MLflow's pages."""

    def end(*_: Any, **__: Any) -> NoReturn:
        print("here the command would start processes")
        raise SystemExit(0)

    os.execve = os.execvpe = end  # MLflow takes the place of `hhmnet ui`
    for module in list(sys.modules.values()):
        name = getattr(module, "__name__", "")
        if name.startswith("hhmnet_platform") and hasattr(module, "ray_session"):
            module.ray_session = end


def judge_command(case: OptionCase, code: int, output: str) -> tuple[str, str]:
    """Return the outcome of a command, and what shows it."""
    lines = [line for line in output.splitlines() if line.strip()]
    if "Traceback (most recent call last)" in output:
        return "traceback", lines[-1][:300]
    if code == 0:
        if case.fault in REFUSED and case.option.name + "x" not in output:
            return "unclear", "accepted, though there is no such option"
        return "accepted", lines[-1][:100] if lines else ""
    errors = [line for line in lines if line.startswith("error: ")]
    message = errors[-1] if errors else ""
    if code != EXIT_INPUT or len(errors) != 1 or lines[-1] != message:
        return (
            "unclear",
            f"exit code {code}, {len(errors)} error lines: {' | '.join(lines[-3:])[:300]}",
        )
    if len(message) > LONGEST_LINE:
        return "unclear", f"a message of {len(message)} characters: {message[:200]}"
    value = {"unlike": "7"}.get(case.fault, VALUES.get(case.fault, "")).strip()[:20]
    named = {word for word in re.split(r"[._]", case.option.name) if len(word) > 1}
    named |= {"config", case.option.name[:-1]}
    spoken = message.lower()
    shown = {value, *re.findall(r"\w{5,}", value)} - {""}
    if not any(word in spoken for word in named) and not any(word in message for word in shown):
        return "unclear", f"neither the option nor its value is named: {message[:300]}"
    return "refused", message[:300]
