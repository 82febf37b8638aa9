"""Local files whose reading fails as that of a dying disk or a share that is away."""

import builtins
import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def failing_reads(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[None]:
    """Make reads of local files with a name fail (EIO) in the block."""
    with monkeypatch.context() as patch:
        opened = _failing_open(name)
        patch.setattr(builtins, "open", opened)
        patch.setattr(io, "open", opened)
        yield


def fail_reads_from_now_on(name: str) -> None:
    """Make reads of local files with a name fail (EIO) until the process ends."""
    builtins.open = io.open = _failing_open(name)


def _failing_open(name: str) -> Any:
    """Return an `open` for the two modules by which pathlib, zipfile and fsspec open files."""
    open_file = io.open

    def fail(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        is_named = isinstance(file, str | os.PathLike) and os.path.basename(file) == name
        if is_named and "r" in mode:
            raise OSError(errno.EIO, os.strerror(errno.EIO), os.fspath(file))
        return open_file(file, mode, *args, **kwargs)

    return fail
