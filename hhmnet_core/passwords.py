"""Passwords in URIs: they serve to connect, and are not shown, written or sent elsewhere."""

import ctypes
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

_DATABASE = r"(?:postgresql|postgres|mysql|mariadb|mssql|oracle)"
_PORT = r"\d*(?=[/?#\s]|$)"
# An unencoded password may hold any character: what follows a colon and is no port goes up to the
# last @. Of http a user's name alone may be a token; elsewhere it is none, and in Azure's URIs it
# is the container.
_USER_INFO = re.compile(
    rf"""
      (?P<scheme>\b{_DATABASE}(?:\+\w+)?://) [^\s/?\#@:]* : \S* @
    | (?P<http>\bhttps?://) [^\s/?\#]* @
    | (?P<other>\b[a-z][\w+.-]*://) [^\s/?\#@:]* : (?!{_PORT}) \S* @
    """,
    re.IGNORECASE | re.VERBOSE,
)
_QUERY = re.compile(
    r"([?&;](?:[\w.%-]*(?:pass|pwd|token|secret|key|sig|credential|auth)[\w.%-]*|odbc_connect)=)"
    r"[^&\s]+",
    re.IGNORECASE,
)


def without_password(text: str) -> str:
    """Return a text with the URIs in it lacking user, password and secret options."""
    shown = _USER_INFO.sub(_scheme, text)
    return _QUERY.sub(r"\1***", shown)


def masked(text: str) -> str:
    """Return a text of the same length, in which stars cover what `without_password` removes."""

    def cover(kept: str, match: re.Match[str]) -> str:
        return kept + "*" * (len(match[0]) - len(kept))

    shown = _USER_INFO.sub(lambda match: cover(_scheme(match), match), text)
    return _QUERY.sub(lambda match: cover(match[1], match), shown)


def without_passwords(value: Any) -> Any:
    """Return nested lists and dictionaries with `without_password` applied to each text."""
    if isinstance(value, str):
        return without_password(value)
    if isinstance(value, dict):
        return {key: without_passwords(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_passwords(each) for each in value]
    return value


def one_line(error: object) -> str:
    """Return the text of an error as one line, without passwords, for a message to quote."""
    return without_password(" ".join(str(error).split()))


def cover_command_line() -> None:
    """Cover passwords in the arguments that the system shows for this process, as in `ps`.

    Linux shows the process's own memory. Elsewhere nothing is changed. `sys.argv` stays as it is.
    """
    with suppress(OSError, ValueError, IndexError):
        # Fields 48 and 49 of proc(5); the second one, the program's name, may hold blanks.
        numbers = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(numbers[45]), int(numbers[46])
        shown = Path("/proc/self/cmdline").read_bytes()
        if start and len(shown) == end - start:  # 0 where the system keeps addresses to itself
            arguments = shown.decode("latin-1").split("\0")
            covered = "\0".join(map(masked, arguments)).encode("latin-1")
            ctypes.memmove(start, covered, len(covered))


def _scheme(match: re.Match[str]) -> str:
    return next(kept for kept in match.groups() if kept)
