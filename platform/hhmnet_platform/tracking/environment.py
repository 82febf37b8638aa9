"""Where a run comes from: the commit, the versions, the machine."""

import getpass
import os
import platform
import socket
import subprocess
from importlib.metadata import version
from pathlib import Path

from hhmnet_platform.tracking import tags


def environment_tags() -> dict[str, str]:
    """Tags for tracking, of the process that submits the run."""
    found = {
        tags.PYTHON: platform.python_version(),
        tags.HOST: socket.gethostname(),
        **{f"{tags.PREFIX}{name}": version(name) for name in ("torch", "ray", "mlflow")},
    }
    try:
        found["mlflow.user"] = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        pass
    commit = os.environ.get("HHMNET_GIT_COMMIT") or _git("rev-parse", "HEAD")
    if commit:
        found[tags.GIT_COMMIT] = found["mlflow.source.git.commit"] = commit
    if commit and "HHMNET_GIT_COMMIT" not in os.environ:
        changed = _git("status", "--porcelain", "--untracked-files=no")
        found[tags.GIT_DIRTY] = "true" if changed else "false"
    return found


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
