import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def executable() -> Callable[[str], str]:
    """The path of a program of this environment: `executable("ray")`."""
    return lambda name: str(Path(sys.executable).parent / name)
