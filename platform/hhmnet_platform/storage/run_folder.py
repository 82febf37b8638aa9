"""The folder of one run: its files, its checkpoints, and who may train in it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout
from safetensors import SafetensorError, deserialize

from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder, folder
from hhmnet_platform.members import TRAINED
from hhmnet_platform.storage.checkpoints import TrainingPoint, is_within, parse_checkpoint_name

RESULT = "result.json"
TRACKED = "tracked.json"  # is there when MLflow holds all of a finished run
SNAPSHOT = "checkpoint_manager_snapshot.json"
LAYOUTS = "layouts.json"


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

    def saved(self) -> TrainingPoint:
        """How far the newest checkpoint is that Ray will resume from."""
        noted = self.read_json(SNAPSHOT) or {}
        latest = noted.get("latest_checkpoint_result") or {}
        return parse_checkpoint_name(str(latest.get("checkpoint_dir_name", "epoch-0")))

    def add_layout(self, point: TrainingPoint, data: int, modality: int) -> None:
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
        """Of a finished run. Raises InputError for another, and where there is none."""
        result = self.read_json(RESULT)
        if result is None:
            raise InputError(f"Run {self.uri} {self.lack}.")
        return result

    @property
    def lack(self) -> str:
        """What is the matter with a run that has no result."""
        return f"is unfinished: it has no {RESULT}" if self.place.names() else "is not there"

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
        with exclusive_folder(path, f"Run {self.name} is being trained by another process"):
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
def exclusive_folder(path: Path, otherwise: str) -> Iterator[None]:
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
