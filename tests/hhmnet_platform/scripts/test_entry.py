"""The entry point of the scripts: error messages, exit codes and interrupts."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.scripts.entry import run_script

pytestmark = pytest.mark.usefixtures("own_signals")


def raises(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize("is_loading", [True, False])
@pytest.mark.parametrize(
    ("work", "code", "error"),
    [
        (lambda: None, 0, ""),
        (raises(InputError("Two\nlines.")), 2, "error: Two lines.\n"),
        (raises(KeyboardInterrupt()), 130, "interrupted.\n"),
        (raises(SystemExit(3)), 3, ""),
        # Ray's handler of SIGTERM, while Ray starts.
        (raises(SystemExit(signal.SIGTERM)), 130, "interrupted.\n"),
    ],
)
def test_script_ends_with_one_line_and_a_code(
    work: Callable[[], None],
    code: int,
    error: str,
    is_loading: bool,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def load() -> Callable[[], None]:
        if is_loading:
            work()
        return work

    with pytest.raises(SystemExit) as caught:
        run_script(load)
    assert caught.value.code == code
    assert capfd.readouterr().err == error


def test_full_disk_is_one_line_with_the_file_and_its_space(
    capfd: pytest.CaptureFixture[str],
) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/proc/a")
    with pytest.raises(SystemExit) as caught:
        run_script(lambda: raises(full))
    assert caught.value.code == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: Cannot write /proc/a, the disk is full: the disk of /proc, ")
    assert "MB free" in line


def test_fault_of_a_path_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    long = OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), "/tmp/x")
    with pytest.raises(SystemExit) as caught:
        run_script(lambda: raises(long))
    assert caught.value.code == 2
    assert capfd.readouterr().err == (
        "error: /tmp/x: File name too long. Check the path, the disk and your rights there.\n"
    )


@pytest.mark.parametrize("bug", [ZeroDivisionError(), FileNotFoundError(errno.ENOENT, "no", "a")])
def test_bug_keeps_its_traceback(bug: Exception) -> None:
    with pytest.raises(type(bug)):
        run_script(lambda: raises(bug))


def test_path_that_the_terminal_cannot_encode_ends_no_finished_job(tmp_path: Path) -> None:
    script = (
        "from hhmnet_platform.scripts.entry import run_script\n"
        "run_script(lambda: lambda: print('written to d\\xe4ta\\udcff'))\n"
    )
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "written to d\\xe4ta\\udcff\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_that_comes_out_as_another_error_is_one(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt as error:
            raise ImportError("numpy could not be imported") from error

    with pytest.raises(SystemExit) as caught:
        run_script(lambda: work)
    assert caught.value.code == 130
    assert capfd.readouterr().err == "interrupted.\n"


IN_A_SCRIPT = """
import atexit, os, signal, sys, time
from hhmnet_platform.scripts.entry import run_script

def interrupt():
    os.kill(os.getpid(), signal.{number})
    time.sleep(20)

class Interrupting:
    def __del__(self):  # Python swallows what is raised here
        os.kill(os.getpid(), signal.{number})
        for _ in range(1000):
            pass

def swallow():
    Interrupting()
    time.sleep(20)

def load():
    print("loading")
    {at_exit}  # as a library that it imports does
    {at_load}
    return work

def work():
    print("working")
    {at_work}

run_script(load)
"""
MOMENTS = {
    "imports and arguments": {"at_load": "interrupt()"},
    "work": {"at_work": "interrupt()"},
    "a callback": {"at_work": "swallow()"},
    "exit": {"at_exit": "atexit.register(interrupt)"},
    "exit after an interrupt": {
        "at_work": "interrupt()", "at_exit": "atexit.register(interrupt)",
    },
}  # fmt: skip


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_interrupt_is_one_line_and_a_code_at_any_moment(moment: str, number: str) -> None:
    lines = dict.fromkeys(("at_load", "at_work", "at_exit"), "pass") | MOMENTS[moment]
    ended = subprocess.run(
        [sys.executable, "-c", IN_A_SCRIPT.format(number=number, **lines)],
        capture_output=True, text=True, timeout=60, env={**os.environ}, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (130, "interrupted.\n")
    if "exit" in moment:
        assert "working" in ended.stdout


SCRIPT = """
import sys, time
from hhmnet_platform.scripts.entry import run_script

def main():
    print(sys.argv[1], flush=True)
    sys.stdin.read()

run_script(lambda: main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="arguments are covered on Linux only")
@pytest.mark.integration
def test_password_on_the_command_line_is_covered_and_used() -> None:
    uri = "--tracking_uri=http://me:secret@host:5000"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, uri, "ü x"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and process.stdout.readline() == f"{uri}\n"
    shown = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode().split("\0")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert shown[3:] == ["--tracking_uri=http://**********host:5000", "ü x", ""]
    assert "note: other users of this machine can see a password" in errors
    assert "secret" not in errors


def test_abort_while_modules_are_taken_down_changes_nothing() -> None:
    """As by threads of C++ libraries."""
    script = """
import os
from hhmnet_platform.scripts.entry import run_script

class Late:
    def __del__(self, abort=os.abort):
        abort()

late = Late()
run_script(lambda: lambda: print("done"))
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


def test_output_that_cannot_be_written_is_reported() -> None:
    script = (
        "from hhmnet_platform.scripts.entry import run_script\n"
        "run_script(lambda: lambda: print('done'))\n"
    )
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", script], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert ended.returncode == 2 and "the disk is full" in ended.stderr


@pytest.mark.parametrize("lines", [1, 100_000])
def test_output_whose_reader_has_ended_is_no_error(lines: int) -> None:
    """Whether it is found out while it is written, or at the end."""
    script = (
        "from hhmnet_platform.scripts.entry import run_script\n"
        f"run_script(lambda: lambda: [print('line') for _ in range({lines})])\n"
    )
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-c", script], stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, "")
