"""The workspace: one folder, at any fsspec URI, that holds everything the platform makes.

<workspace>/data/          stores made on the spot
<workspace>/runs/<name>/   one folder a run: checkpoints, scores, figures, result.json
<workspace>/searches/      studies: what was tried, best.yaml, plots
<workspace>/fusions/       searched fusion weights
<workspace>/ensembles/     ensemble.json and report.html
<workspace>/tune/          what Ray Tune notes of fusion searches
<workspace>/mlflow.db      tracking, where no server is named
<workspace>/mlartifacts/   its artifacts
"""

import os
import re
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.tracking.uri import check_tracking


def default_workspace() -> str:
    """What $HHMNET_WORKSPACE names: a cluster sets it once, for every job; else a folder here."""
    return os.environ.get("HHMNET_WORKSPACE") or "workspace"


def absolute_uri(uri: str) -> str:
    """The URI with a local path made absolute: workers run in folders of their own."""
    place = folder(uri)
    return place.path if place.is_local else uri.rstrip("/")


@dataclass(frozen=True)
class Workspace:
    """Where everything goes.

    Attributes:
        uri: Absolute path or URI, without a slash at the end.
    """

    uri: str

    @property
    def is_local(self) -> bool:
        return folder(self.uri).is_local

    def at(self, name: str) -> str:
        return f"{self.uri}/{name}"

    def check_writable(self) -> None:
        """Raises InputError where nothing can be written."""
        place = folder(self.uri)
        probe = f".probe-{os.getpid()}"
        try:
            place.write(probe, b"")
            place.remove(probe)
        except InputError as error:
            cause = error.__cause__
            said = getattr(cause, "strerror", None) or cause
            raise InputError(
                f"The workspace {self.uri} cannot be written ({said}): give a --workspace that you "
                "may write to."
            ) from error

    def tracking_uri(self, given: str) -> str:
        """The MLflow tracking URI: the one given, else that of a database in the workspace.

        Raises InputError where MLflow knows no such store, or the workspace cannot hold a database.
        """
        if given:
            check_tracking(given)
            return given
        if not self.is_local:
            raise InputError(
                f"The workspace {self.uri} cannot hold a database: give --tracking_uri, the "
                "address of an MLflow server."
            )
        return f"sqlite:///{self.at('mlflow.db')}"

    def run(self, name: str) -> RunFolder:
        return RunFolder(name, self.at(f"runs/{name}"))


def local_copy(uri: str, stack: ExitStack, names: Sequence[str] | None = None) -> Path:
    """A local copy of a folder's files, or of some of them, until the stack closes."""
    local = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    place = folder(uri)
    for name in place.names() if names is None else names:
        (local / name).write_bytes(place.read(name))
    return local


def check_name(name: str) -> None:
    """Raises InputError for a name that cannot be a folder's."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise InputError(
            f"The run name {name!r} cannot be used: expected up to 100 letters, digits, dots, "
            "dashes and underscores."
        )
