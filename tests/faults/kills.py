"""Commands that are killed at a random moment, and given again.

After the kill no process of the command may be left, and the same command again has to end as if
nothing had happened. A new command joins by one entry in `TARGETS`.
"""

import json
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import yaml
from earlier_version import PHASE1, PHASE2, unpack
from faults.cases import Log, Outcome
from faults.leavings import GRACE, MARK, differing, end_marked, left_after, results_of
from processes import Process, Starter
from video_files import write_video_store

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SIGNALS = {"KILL": signal.SIGKILL, "TERM": signal.SIGTERM, "INT": signal.SIGINT}
SAMPLE, WHOLE = 1, 4  # cases of each target in a sample, of each target and signal in a whole run
SECONDS = 600.0

_TINY = {"data.frames": 8, "model.widths": [8, 8], "model.heads": 2, "model.embedding": 8}
_TINY |= {"optim.epochs": 2, "optim.batch": 8}
_TINY2 = {"video.widths": [8, 16], "video.depths": [1, 1], "optim.epochs": 2, "optim.batch": 8}


def _options(values: dict[str, Any], prefix: str = "") -> list[str]:
    return [f"--{prefix}{name}={json.dumps(value)}" for name, value in values.items()]


@dataclass(frozen=True)
class Target:
    """A command to kill.

    Attributes:
        words: Function from the folder of a case, which holds `store`, to the command line.
        results: Glob patterns of the files that must come out equal.
        fill: Function that fills the folder with what the command needs beside the store.
    """

    words: Callable[[Path], list[str]]
    results: tuple[str, ...]
    fill: Callable[[Path], object] = lambda folder: None


def _earlier(folder: Path) -> None:
    """Put finished runs into the folder, and their own store in place of the films."""
    shutil.rmtree(folder / "store")
    unpack(folder)


def _placed(folder: Path) -> list[str]:
    return [f"--data.store={folder}/store", f"--workspace={folder}/workspace", "--workers=1"]


def _search(folder: Path) -> list[str]:
    recipe = folder / "recipe.yaml"
    space = {"optim.lr": {"choices": [0.001, 0.004]}}
    recipe.write_text(yaml.safe_dump({"study": "tiny", "trials": 2, "grace": 1, "space": space}))
    return [
        "search.py", f"--config={recipe}", *_placed(folder), *_options(_TINY), "--cpus_per_worker=1"
    ]  # fmt: skip


_RUNS = ("workspace/runs/*/epoch-*2/*.safetensors", "workspace/runs/*/result.json")
TARGETS: dict[str, Target] = {
    "prepare": Target(
        lambda folder: [
            "prepare.py", "synthetic", f"--store={folder}/made", "--clips_per_class=6",
            "--workers=2",
        ],
        ("made/clips-*.parquet", "made/manifest.json"),
    ),
    "phase1": Target(
        lambda folder: ["phase1.py", *_placed(folder), *_options(_TINY)],
        _RUNS,
    ),
    "phase2": Target(
        lambda folder: [
            "phase2.py", *_placed(folder), *_options(_TINY2), f"--phase1={PHASE1}"
        ],
        _RUNS,
        _earlier,
    ),
    "fuse": Target(
        lambda folder: [
            "fuse.py", f"--workspace={folder}/workspace", f"--runs=[{PHASE1},{PHASE2}]"
        ],
        (f"workspace/runs/{PHASE1}/scores/*", *_RUNS[1:]),
        _earlier,
    ),
    "fusion search": Target(
        lambda folder: [
            "search.py", "fusion", f"--workspace={folder}/workspace", f"--runs=[{PHASE1},{PHASE2}]",
            "--trials=2", "--evaluations=30",
        ],
        ("workspace/fusions/*/fusion.json",),
        _earlier,
    ),
    "ensemble": Target(
        lambda folder: [
            "ensemble.py", f"--workspace={folder}/workspace", "--experiment=example/cross-view"
        ],
        ("workspace/ensembles/*/ensemble.json",),
        _earlier,
    ),
    "search": Target(_search, _RUNS[1:]),
    "ablation": Target(
        lambda folder: [
            "ablate.py", "phase1", f"--data.store={folder}/store",
            f"--workspace={folder}/workspace", *_options(_TINY), "--seeds=[1]",
            "--variants=[all,no mask]",
        ],
        ("workspace/ablations/*/outcomes.jsonl",),
    ),
    "pipeline": Target(
        lambda folder: [
            "pipeline.py", *_placed(folder), *_options(_TINY, "phase1."),
            *_options(_TINY2, "phase2."),
        ],
        (*_RUNS, "workspace/fusions/*/fusion.json"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class KillCase:
    target: str
    signal: str
    number: int

    @property
    def id(self) -> str:
        return f"kill/{self.target}/{self.signal}-{self.number}"


@dataclass(frozen=True)
class Undisturbed:
    """A run of a command without a kill: its results by file, and its time in seconds."""

    results: dict[str, str]
    seconds: float


def kill_cases(seed: int, full: bool) -> list[KillCase]:
    """Return all cases of a run: in a sample one signal for each target."""
    if full:
        return [
            KillCase(target, name, number)
            for number in range(WHOLE)
            for target in TARGETS
            for name in SIGNALS
        ]
    return [
        KillCase(target, Random(f"{seed}/{target}").choice(list(SIGNALS)), number)
        for number in range(SAMPLE)
        for target in TARGETS
    ]


class Kills:
    """Runs cases; keeps the undisturbed runs that they are compared with.

    Args:
        seed: Seed of the moments.
        log: Log of the outcomes.
        work: Folder for all that is made.
    """

    def __init__(self, seed: int, log: Log, work: Path) -> None:
        self.seed, self.log, self.work = seed, log, work
        shutil.rmtree(work, ignore_errors=True)
        (work / "processes").mkdir(parents=True)
        self.starter = Starter(work / "processes")
        self._undisturbed: dict[str, Undisturbed] = {}
        write_video_store(work / "store")

    def run(self, case: KillCase) -> None:
        """Run a case and record its outcome."""
        began = time.monotonic()
        folder = self.work / "case"
        try:
            undisturbed = self._run_undisturbed(case.target)
            outcome, detail, output = self._run(case, undisturbed, folder)
        except AssertionError as error:
            outcome, detail, output = "broken", str(error)[-300:], str(error)
        seconds = time.monotonic() - began
        self.log.add(Outcome(case.id, outcome, detail, seconds, output))
        shutil.rmtree(folder, ignore_errors=True)

    def _run(self, case: KillCase, undisturbed: Undisturbed, folder: Path) -> tuple[str, str, str]:
        target = TARGETS[case.target]
        after = Random(f"{self.seed}/{case.id}").uniform(0.02, 1.0) * undisturbed.seconds
        self.fill(target, folder)
        process, mark = self._start(target, folder)
        with suppress(AssertionError):
            process.finish(after)
        was_running = process.returncode is None
        with suppress(ProcessLookupError):
            process.popen.send_signal(SIGNALS[case.signal])
        said = f"{case.signal} after {after:.1f} of {undisturbed.seconds:.1f} s"
        left = left_after(process, mark)
        with suppress(AssertionError):
            process.finish(GRACE)
        output = process.output
        if left:
            end_marked(mark)
            return "left", f"{said}: {len(left)} processes, such as {left[0]}"[:300], output
        if "Traceback (most recent call last)" in output:
            return "traceback", f"{said}: {output.splitlines()[-1]}"[:300], output
        expected = {"KILL": -signal.SIGKILL}.get(case.signal, 130)
        if was_running and process.returncode not in (expected, 0):
            return "unclear", f"{said}: exit code {process.returncode}, expected {expected}", output
        again, mark = self._start(target, folder)
        try:
            code = again.finish(SECONDS)
        except AssertionError:
            end_marked(mark)
            return "hang", f"{said}: given again, it does not end", again.output
        output = f"{output}\n--- again ---\n{again.output}"
        end_marked(mark)
        if "Traceback (most recent call last)" in again.output:
            return (
                "traceback",
                f"{said}, given again: {again.output.splitlines()[-1]}"[:300],
                output,
            )
        if code:
            last = (again.output.splitlines() or [""])[-1]
            return "stuck", f"{said}, given again: exit code {code}: {last}"[:300], output
        different = differing(undisturbed.results, results_of(folder, target.results))
        if case.target == "search":  # TPE may suggest other values once a trial is known
            different = [each for each in different if not each.startswith(("lacks", "has"))]
        if different:
            return "changed", f"{said}: {', '.join(different)}"[:300], output
        return "equal", said, ""

    def _run_undisturbed(self, name: str) -> Undisturbed:
        if name not in self._undisturbed:
            target, folder = TARGETS[name], self.work / "undisturbed"
            self.fill(target, folder)
            began = time.monotonic()
            process, mark = self._start(target, folder)
            code = process.finish(SECONDS)
            seconds = time.monotonic() - began
            end_marked(mark)
            assert not code, process.output
            results = results_of(folder, target.results)
            assert results, f"{name} has no results"
            self._undisturbed[name] = Undisturbed(results, seconds)
        return self._undisturbed[name]

    def fill(self, target: Target, folder: Path) -> None:
        """Make the folder of a case."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copytree(self.work / "store", folder / "store")
        target.fill(folder)

    def _start(self, target: Target, folder: Path) -> tuple[Process, str]:
        script, *words = target.words(folder)
        mark = uuid.uuid4().hex
        env = {MARK: mark, "HHMNET_CACHE": str(folder / "cache")}
        command = (sys.executable, EXPERIMENTS / script, *words)
        return self.starter.program(*command, env=env, cwd=folder), mark

    def close(self) -> None:
        self.starter.stop()
