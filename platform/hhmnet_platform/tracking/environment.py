"""Where a run comes from: the commit, the versions, the machine."""

import getpass
import os
import platform
import socket
import subprocess
from importlib.metadata import version
from pathlib import Path


def environment_tags() -> dict[str, str]:
    """Tags for tracking, of the process that submits the run."""
    tags = {
        "hhmnet.python": platform.python_version(),
        "hhmnet.host": socket.gethostname(),
        **{f"hhmnet.{name}": version(name) for name in ("torch", "ray", "mlflow")},
    }
    try:
        tags["mlflow.user"] = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        pass
    commit = os.environ.get("HHMNET_GIT_COMMIT") or _git("rev-parse", "HEAD")
    if commit:
        tags["hhmnet.git_commit"] = tags["mlflow.source.git.commit"] = commit
    if commit and "HHMNET_GIT_COMMIT" not in os.environ:
        changed = _git("status", "--porcelain", "--untracked-files=no")
        tags["hhmnet.git_dirty"] = "true" if changed else "false"
    return tags


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
