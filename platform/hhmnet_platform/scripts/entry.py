"""The entry point of `hhmnet` and its scripts: error messages, exit codes and interrupts.

Exit codes: 0 for success, 2 for input that cannot be used, 130 after Ctrl-C or SIGTERM, 141 where
the output's reader has ended, as in `hhmnet --help | head`. Any other exception is a bug: Python
prints its traceback and exits with 1.

This module and `commands` import nothing that takes time, not even `typing`, so that an interrupt
is handled from the first milliseconds on.
"""

from __future__ import annotations

# `signal` itself takes milliseconds to import.
import _signal as signal  # type: ignore[import-not-found]
import atexit
import errno
import os
import sys

from hhmnet_core.errors import InputError

TYPE_CHECKING = False  # as type checkers read it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

EXIT_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_UNREAD = 141  # of a program that SIGPIPE ends
_RETRY_SECONDS = 0.05
# Faults of a path or of the machine, not of the program.
_OF_THE_SYSTEM = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ENAMETOOLONG, errno.ELOOP,
    errno.ENOTDIR, errno.EMFILE, errno.ENFILE,
)  # fmt: skip


def run_script(load: Callable[[], Callable[[], object]]) -> NoReturn:
    """Run a script and exit the process, with one line on stderr for an error that users can mend.

    SIGTERM, which `ray job stop` and schedulers send, interrupts as Ctrl-C does.

    Args:
        load: Function that imports what the script needs, parses its command line, and returns its
            work. An interrupt ends the process at once before and after the work; within it, it
            raises KeyboardInterrupt, so that files and processes are left in order.
    """
    interrupts = _Interrupts()
    ending = _Ending()
    atexit.register(ending.end)  # registered first, so called last
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a path need not be of the terminal's encoding
            stream.reconfigure(errors="backslashreplace")
    code = 0
    try:
        _cover_passwords()
        work = load()
        interrupts.are_raised = True
        work()
    except BaseException as error:
        if interrupts.have_come or _is_interrupt(error):
            code = EXIT_INTERRUPTED
        elif isinstance(error, BrokenPipeError) and _is_unread():
            code = EXIT_UNREAD
        elif (shown := _for_users(error)) is not None:
            from hhmnet_core.passwords import one_line

            print(f"error: {one_line(shown)}", file=sys.stderr)
            code = EXIT_INPUT
        else:
            raise
    finally:
        try:
            sys.stdout.flush()
        except OSError:  # else Python tries again, and reports it, at the end of the process
            if _is_unread():
                code = code or EXIT_UNREAD
        if code == EXIT_UNREAD:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        interrupts.are_raised = False
    if code == EXIT_INTERRUPTED:
        interrupts.show()
    ending.code = code
    sys.exit(code)


class _Interrupts:
    """Handler of Ctrl-C and SIGTERM for the life of the process.

    An exception that is raised within an import or an exit handler may be swallowed there, or come
    out as another one. So the process ends at once where there is nothing to put in order.

    Attributes:
        are_raised: Whether an interrupt raises KeyboardInterrupt. Else it ends the process.
        have_come: Whether one has been raised.
    """

    def __init__(self) -> None:
        self.are_raised = self.have_come = self._is_shown = False
        self._report_unraisable = sys.unraisablehook
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, self._handle)
        sys.unraisablehook = self._raise_later

    def show(self) -> None:
        """Print that the script was interrupted, once."""
        if not self._is_shown:
            self._is_shown = True
            os.write(2, b"interrupted.\n")

    def _handle(self, number: int, frame: object) -> None:
        if not self.are_raised:
            self.show()
            os._exit(EXIT_INTERRUPTED)
        self.have_come = True
        raise KeyboardInterrupt

    def _raise_later(self, unraisable: Any) -> None:
        """Raise an interrupt again that came where Python swallows exceptions, as in callbacks."""
        if self.have_come and unraisable.exc_type is KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, _RETRY_SECONDS)
        else:
            self._report_unraisable(unraisable)


class _Ending:
    """The end of the process, after all exit handlers.

    It does without Python's teardown of modules and that of C++ libraries, which takes a second,
    and in which threads of Arrow and Ray have ended finished commands with an abort.

    Attributes:
        code: Exit code of the script. None: it ends by an exception, which Python reports.
    """

    def __init__(self) -> None:
        self.code: int | None = None

    def end(self) -> None:
        # An interrupt could change nothing but the exit code.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        if self.code is None:
            return
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            return  # Python tries again, and reports it
        os._exit(self.code)


def _is_unread() -> bool:
    """Return whether the standard output is a pipe whose reader has ended."""
    import select

    try:
        output = select.poll()
        output.register(sys.stdout, 0)
        return any(event & select.POLLERR for _, event in output.poll(0))
    except (AttributeError, OSError, ValueError):  # no such output, or no poll on this system
        return False


def _cover_passwords() -> None:
    """Cover passwords on the command line, with a note. Imports nothing where there can be none."""
    if not any("://" in argument for argument in sys.argv[1:]):
        return
    from hhmnet_core.passwords import cover_command_line, masked

    if any(masked(argument) != argument for argument in sys.argv[1:]):
        cover_command_line()
        print(
            "note: other users of this machine can see a password on the command line, if only "
            "until a script has started: give it in the environment, such as MLFLOW_TRACKING_URI.",
            file=sys.stderr,
        )


def _for_users(error: BaseException) -> InputError | None:
    """Return what the user can mend: an InputError, or a fault of the system. None for others."""
    if isinstance(error, InputError):
        return error
    if isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM and error.filename:
        return InputError(
            f"{error.filename}: {error.strerror}. Check the path, the disk and your rights there."
        )
    from hhmnet_core.disk_space import disk_full_error, is_disk_full  # takes time to import

    return disk_full_error(error) if is_disk_full(error) else None


def _is_interrupt(error: BaseException) -> bool:
    # While Ray starts, its own handler of SIGTERM exits with the number of the signal.
    is_of_ray = isinstance(error, SystemExit) and error.code == signal.SIGTERM
    return is_of_ray or isinstance(error, KeyboardInterrupt)
