"""The workspace: one folder, at any fsspec URI, that holds everything the platform makes.

<workspace>/data/          stores made on the spot
<workspace>/runs/<name>/   one folder per run: checkpoints, scores, figures, result.json
<workspace>/searches/      studies: trials, best.yaml, plots
<workspace>/fusions/       searched fusion weights
<workspace>/ensembles/     ensemble.json and report.html
<workspace>/ablations/     outcomes of ablations
<workspace>/tune/          Ray Tune's state of fusion searches
<workspace>/mlflow.db      tracking, where no server is named
<workspace>/mlartifacts/   artifacts of that tracking
"""

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hhmnet_core.checks.names import check_name, is_name
from hhmnet_core.disk_space import is_disk_full
from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.tracking.moved_artifacts import ARTIFACTS
from hhmnet_platform.tracking.uri import artifact_location, check_tracking_scheme, sqlite_uri


def default_workspace() -> str:
    """Return $HHMNET_WORKSPACE, which a cluster sets once for every job, or else `workspace`."""
    return os.environ.get("HHMNET_WORKSPACE") or "workspace"


def absolute_uri(uri: str) -> str:
    """Return a URI with local paths made absolute: workers run in folders of their own."""
    location = folder(uri)
    return location.path if location.is_local else uri.rstrip("/")


@dataclass(frozen=True)
class Workspace:
    """The folder that holds everything the platform makes.

    Attributes:
        uri: Absolute path or URI, without a slash at the end.
    """

    uri: str

    @property
    def is_local(self) -> bool:
        return folder(self.uri).is_local

    def at(self, name: str) -> str:
        """Return the URI of something in it."""
        return f"{self.uri}/{name}"

    def run(self, name: str) -> RunFolder:
        """Return the folder of a run. Raises InputError for a name that cannot be used."""
        return RunFolder(check_name(name), self.at(f"runs/{name}"))

    def run_names(self) -> list[str]:
        """Return the sorted names of all runs, finished or not."""
        return [name for name in folder(self.at("runs")).names() if is_name(name)]

    def derived(self, kind: str, name: str) -> str:
        """Return the URI of a search, a fusion, an ensemble or an ablation.

        Args:
            kind: "searches", "fusions", "ensembles" or "ablations".
            name: Its name.

        Raises:
            InputError: A name that cannot be used.
        """
        return self.at(f"{kind}/{check_name(name, 'name')}")

    def check_writable(self) -> None:
        """Raise InputError where nothing can be written."""
        location = folder(self.uri)
        probe = f".probe-{os.getpid()}"
        try:
            location.write(probe, b"")
            location.remove(probe)
        except InputError as error:
            if is_disk_full(error):
                raise
            cause = error.__cause__
            reason = getattr(cause, "strerror", None) or cause
            raise InputError(
                f"The workspace {self.uri} cannot be written ({reason}): give a --workspace that "
                "you may write to."
            ) from error

    def tracking_uri(self, given: str) -> str:
        """Return the MLflow tracking URI: the given one, or that of a database in the workspace.

        Raises InputError where MLflow knows no such store, or the workspace cannot hold a database.
        """
        if given:
            check_tracking_scheme(given)
            return given
        if not self.is_local:
            raise InputError(
                f"The workspace {self.uri} cannot hold a database: give --tracking_uri, the "
                "address of an MLflow server."
            )
        return sqlite_uri(self.at("mlflow.db"))

    def artifacts(self, tracking_uri: str) -> str:
        """Return the place of a new experiment's artifacts. "" leaves it to MLflow.

        Args:
            tracking_uri: MLflow tracking URI as it was given.
        """
        return "" if tracking_uri else artifact_location(self.at(ARTIFACTS))


def local_copy(uri: str, stack: ExitStack, names: Sequence[str] | None = None) -> Path:
    """Copy the files of a folder, or some of them, to a local one that lasts as long as `stack`."""
    local = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    source = folder(uri)
    for name in source.names() if names is None else names:
        (local / name).write_bytes(source.read(name))
    return local
