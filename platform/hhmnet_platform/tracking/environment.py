"""Tags that record the software and the machine that a run is started with."""

import getpass
import os
import platform
import shlex
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from hhmnet_core.passwords import without_password
from hhmnet_platform.tracking import tags

VERSIONED = ("torch", "ray", "mlflow")
_LONGEST_COMMAND = 5000  # characters


def environment_tags() -> dict[str, str]:
    """Return the tags of the process that starts a run: command, versions, host, user, commit."""
    environment = {
        tags.PYTHON: platform.python_version(),
        tags.HOST: socket.gethostname(),
        **{f"{tags.PREFIX}{name}": version(name) for name in VERSIONED},
    }
    try:
        environment[tags.MLFLOW_USER] = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        pass
    return environment | source_tags() | _commit_tags()


def source_tags() -> dict[str, str]:
    """Return the command that was typed, as MLflow's source; nothing in a worker of Ray."""
    program, *arguments = sys.orig_argv
    if any(argument.endswith("/ray/_private/workers/default_worker.py") for argument in arguments):
        return {}
    command = shlex.join([Path(program).name, *map(without_password, arguments)])
    # Of any other type MLflow shows what follows the last slash.
    return {tags.MLFLOW_SOURCE: command[:_LONGEST_COMMAND], tags.MLFLOW_SOURCE_TYPE: "JOB"}


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
