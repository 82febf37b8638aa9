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

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from filelock import FileLock, Timeout
from safetensors import SafetensorError, deserialize

from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder, folder
from hhmnet_platform.members import TRAINED
from hhmnet_platform.points import Point, is_within, point_of

RESULT = "result.json"
SNAPSHOT = "checkpoint_manager_snapshot.json"
LAYOUTS = "layouts.json"
# Those of MLflow itself; without one it is a folder.
TRACKING_SCHEMES = {
    *("", "file", "http", "https", "databricks", "databricks-uc", "uc"),
    *("postgresql", "mysql", "sqlite", "mssql"),
}


def default_workspace() -> str:
    """What $HHMNET_WORKSPACE names: a cluster sets it once, for every job; else a folder here."""
    return os.environ.get("HHMNET_WORKSPACE") or "workspace"


def default_tracking() -> str:
    """What $MLFLOW_TRACKING_URI names, as for every client of MLflow; else "", the workspace's."""
    return os.environ.get("MLFLOW_TRACKING_URI", "")


def check_tracking(uri: str) -> None:
    """Raises InputError for a URI of a kind that neither MLflow nor a plugin of it can track in."""
    scheme = urlsplit(uri).scheme.partition("+")[0]
    plugins = {entry.name for entry in entry_points(group="mlflow.tracking_store")}
    if scheme not in TRACKING_SCHEMES | plugins:
        raise InputError(
            f"MLflow cannot track at {uri}: expected the http:// or https:// address of a server, "
            "or a database such as sqlite:///FILE or postgresql://..., in --tracking_uri or "
            "$MLFLOW_TRACKING_URI."
        )


def absolute(uri: str) -> str:
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

    def run(self, name: str) -> "RunFolder":
        return RunFolder(name, self.at(f"runs/{name}"))


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run.

    Attributes:
        name: The run's name.
        uri: Absolute path or URI.
    """

    name: str
    uri: str

    @property
    def place(self) -> Folder:
        return folder(self.uri)

    def sub(self, name: str) -> Folder:
        return folder(f"{self.uri}/{name}")

    def saved(self) -> Point:
        """How far the newest checkpoint is that Ray will resume from."""
        noted = self.read_json(SNAPSHOT) or {}
        latest = noted.get("latest_checkpoint_result") or {}
        return point_of(str(latest.get("checkpoint_dir_name", "epoch-0")))

    def add_layout(self, point: Point, data: int, modality: int) -> None:
        """Notes what trains from here on, where the number of workers may change."""
        noted = self.layouts()
        if not noted or noted[-1][2:] != [data, modality]:
            self.write_json(LAYOUTS, {"layouts": [*noted, [*point, data, modality]]})

    def layouts(self) -> list[list[int]]:
        """What trained the run: from which epoch and step on, D and P."""
        return list((self.read_json(LAYOUTS) or {}).get("layouts", ()))

    def tidy(self) -> None:
        """Removes checkpoints within an epoch that were left half-written, of a finished run."""
        noted = self.read_json(SNAPSHOT) or {}
        known = {str(each["checkpoint_dir_name"]) for each in noted.get("checkpoint_results", ())}
        for name in self.place.names():
            if is_within(name) and name not in known:
                self.place.remove_folder(name)

    def read_json(self, name: str) -> dict[str, Any] | None:
        """A JSON file of the run; None where there is none."""
        try:
            content = json.loads(self.place.read(name))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise InputError(
                f"{name} in {self.uri} is not JSON: delete that file, and give the run's command "
                "again; it goes on from its checkpoints."
            ) from error
        return dict(content)

    def result(self) -> dict[str, Any]:
        """Of a finished run. Raises InputError for another."""
        result = self.read_json(RESULT)
        if result is None:
            raise InputError(f"Run {self.uri} is unfinished: it has no {RESULT}.")
        return result

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        self.place.write(name, (json.dumps(content, indent=2) + "\n").encode())

    def write_yaml(self, name: str, content: Mapping[str, Any]) -> None:
        self.place.write(name, yaml.safe_dump(dict(content), sort_keys=False).encode())

    def claim(self, science: Mapping[str, Any]) -> None:
        """Notes what the run is about; raises InputError where the name belongs to another."""
        noted = self.read_json("science.json")
        if noted is None:
            self.write_json("science.json", science)
            return
        if differing := sorted(
            key for key in {*noted, *science} if noted.get(key) != science.get(key)
        ):
            raise InputError(
                f"Run {self.name} exists with another {', '.join(differing)}: give another --name, "
                "or none to have it derived from the config."
            )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps a second process off the run; a killed process lets go of it."""
        if not self.place.is_local:
            yield
            return
        path = Path(self.uri)
        path.mkdir(parents=True, exist_ok=True)
        with alone_in(path, f"Run {self.name} is being trained by another process"):
            yield

    def heal(self) -> str | None:
        """Makes the run's folder usable after a crash.

        Ray notes the checkpoints in a snapshot that it does not write in one piece: a process
        killed at that moment leaves half a file, on which Ray refuses to start, or none. Without
        it, or where the checkpoint that it names last is damaged, Ray has to start anew and to be
        told where from.

        Returns:
            None where Ray can go on by itself, or nothing was trained yet; else the newest whole
            checkpoint, "" for none.
        """
        place = self.place
        there = place.names()
        epochs = sorted((name for name in there if name.startswith("epoch-")), reverse=True)
        if SNAPSHOT in there:
            try:
                note = json.loads(place.read(SNAPSHOT))
                noted = {
                    str(result["checkpoint_dir_name"]) for result in note["checkpoint_results"]
                }
                latest = str(note["latest_checkpoint_result"]["checkpoint_dir_name"])
                if noted <= set(epochs) and self._is_whole(latest):
                    return None
            except (ValueError, KeyError, TypeError):
                pass
            place.remove(SNAPSHOT)
        elif not epochs:
            return None
        return next((name for name in epochs if self._is_whole(name)), "")

    def _is_whole(self, checkpoint: str) -> bool:
        place = self.sub(checkpoint)
        try:
            state = json.loads(place.read("state.json"))
            for modality in TRAINED[state["phase"]]:
                deserialize(place.read(f"{modality}.safetensors"))
        except (FileNotFoundError, ValueError, KeyError, TypeError, SafetensorError):
            return False
        return True


@contextmanager
def alone_in(path: Path, otherwise: str) -> Iterator[None]:
    """Keeps a second process out of a local folder; a killed process lets go of it.

    Args:
        path: The folder.
        otherwise: What the InputError says where another process is there.
    """
    held = FileLock(path / ".lock")
    try:
        held.acquire(timeout=5)
    except Timeout:
        raise InputError(f"{otherwise}: wait for it, or stop it.") from None
    try:
        yield
    finally:
        held.release()


def fetched(uri: str, stack: ExitStack, names: Sequence[str] | None = None) -> Path:
    """A local copy of a folder's files, or of some of them, until the stack closes."""
    local = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    place = folder(uri)
    for name in place.names() if names is None else names:
        (local / name).write_bytes(place.read(name))
    return local


def flat(config: object) -> dict[str, Any]:
    """A dataclass as JSON's plain values by dotted names."""
    values: dict[str, Any] = {}
    plain = json.loads(json.dumps(asdict(config)))  # type: ignore[call-overload]

    def visit(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                visit(f"{prefix}.{key}" if prefix else key, inner)
        else:
            values[prefix] = value

    visit("", plain)
    return values


def run_name(dataset: str, phase: str, science: Mapping[str, Any]) -> str:
    """`<dataset>-<phase>-<hash>`, the hash over all that decides the result."""
    return f"{dataset}-{phase}-{short_hash(science)}"


def short_hash(said: Mapping[str, Any]) -> str:
    """Of JSON's plain values: eight digits that equal ones share."""
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def check_name(name: str) -> None:
    """Raises InputError for a name that cannot be a folder's."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise InputError(
            f"The run name {name!r} cannot be used: expected up to 100 letters, digits, dots, "
            "dashes and underscores."
        )
