"""The one rule for names that become a part of a path: of runs, data sets, studies, shards."""

import unicodedata

from hhmnet_core.errors import InputError

MAX_BYTES = 255  # what file systems hold
_SHOWN = 60  # characters of a name that a message repeats
_SEPARATORS = ("/", "\\", "::")  # two colons chain file systems in a URI of fsspec
_INVISIBLE = {"Cc", "Cs", "Zl", "Zp"}  # control characters, halves of characters, ends of lines


def is_name(name: str) -> bool:
    """Return whether a name can be used as a single part of a path."""
    return (
        bool(name.strip())
        and not name.startswith(".")
        and not any(separator in name for separator in _SEPARATORS)
        and not any(unicodedata.category(character) in _INVISIBLE for character in name)
        and len(name.encode()) <= MAX_BYTES
    )


def check_name(name: str, kind: str = "run name") -> str:
    """Return a name that can be used as a single part of a path.

    Args:
        name: The name.
        kind: Description of the name for the message, such as "run name".

    Raises:
        InputError: An empty or too long name, or one that leads to another folder, is hidden, or
            does not fit on one line.
    """
    if not is_name(name):
        shown = ascii(name) if len(name) <= _SHOWN else f"{name[:_SHOWN]!a}..."
        raise InputError(
            f"The {kind} {shown} cannot be used: expected 1 to {MAX_BYTES} bytes without /, \\, "
            "::, line ends and other control characters, and no dot at the start."
        )
    return name
