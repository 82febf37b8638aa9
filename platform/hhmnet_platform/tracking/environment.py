"""Tags that record the software and the machine that a run is started with."""

import getpass
import os
import platform
import socket
import subprocess
from importlib.metadata import version
from pathlib import Path

from hhmnet_platform.tracking import tags

VERSIONED = ("torch", "ray", "mlflow")


def environment_tags() -> dict[str, str]:
    """Return the tags of the process that starts a run: versions, host, user and git commit."""
    environment = {
        tags.PYTHON: platform.python_version(),
        tags.HOST: socket.gethostname(),
        **{f"{tags.PREFIX}{name}": version(name) for name in VERSIONED},
    }
    try:
        environment[tags.MLFLOW_USER] = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        pass
    return environment | _commit_tags()


def _commit_tags() -> dict[str, str]:
    """Return the tags of $HHMNET_GIT_COMMIT, which a container image sets, or of the checkout."""
    of_image = os.environ.get("HHMNET_GIT_COMMIT")
    commit = of_image or _git("rev-parse", "HEAD")
    if not commit:
        return {}
    commit_tags = {tags.GIT_COMMIT: commit, tags.MLFLOW_COMMIT: commit}
    if of_image is None:
        is_dirty = bool(_git("status", "--porcelain", "--untracked-files=no"))
        commit_tags[tags.GIT_DIRTY] = "true" if is_dirty else "false"
    return commit_tags


def _git(*arguments: str) -> str:
    """Return the output of git in the checkout of this file; "" where it fails."""
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
