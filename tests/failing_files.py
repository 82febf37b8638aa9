"""Local files whose reading fails as that of a dying disk or a share that is away."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileOpener


@contextmanager
def failing_reads(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[None]:
    """Make fsspec's reads of local files with a name fail (EIO) in the block."""
    read = LocalFileOpener._open

    def fail(opener: LocalFileOpener) -> Any:
        if opener.path.endswith(f"/{name}") and "r" in opener.mode:
            raise OSError(errno.EIO, os.strerror(errno.EIO), opener.path)
        return read(opener)

    with monkeypatch.context() as patch:
        patch.setattr(LocalFileOpener, "_open", fail)
        yield
