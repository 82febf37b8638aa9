"""Names of the classes of files that number them."""

from collections import Counter
from collections.abc import Iterable, Sequence

from hhmnet_core.errors import InputError

MAX_CLASSES = 100_000
NUMBERED_NOTE = "the file has no class names: classes are numbered (--classes)"


def name_classes(labels: Iterable[int], given: Sequence[str], source: str) -> tuple[str, ...]:
    """Return the names of classes, in the order of their numbers.

    Args:
        labels: Numbers of the clips' classes, from 0.
        given: Names in order. Empty: the numbers.
        source: URI of the file, for messages.

    Raises:
        InputError: A single class, more than `MAX_CLASSES`, too few names, or one given twice.
    """
    used = set(labels)
    count = max(used) + 1
    if len(used) < 2:
        raise InputError(
            f"{source}: all clips have the label {min(used)}, expected two classes or more."
        )
    if count > MAX_CLASSES:
        raise InputError(f"{source} has the label {count - 1}, expected less than {MAX_CLASSES}.")
    if not given:
        return tuple(map(str, range(count)))
    check_different(given)
    if len(given) < count:
        raise InputError(
            f"{source} has labels up to {count - 1}, but {len(given)} classes are given."
        )
    return tuple(given)


def check_different(classes: Sequence[str]) -> None:
    """Raise InputError where a class is given twice."""
    if twice := [name for name, count in Counter(classes).items() if count > 1]:
        raise InputError(f"The class {twice[0]!r} is given twice: give each label once.")
