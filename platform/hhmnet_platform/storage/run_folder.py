"""The folder of one run: its files, its checkpoints, and the lock of the process that trains it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from filelock import FileLock, Timeout
from safetensors import SafetensorError, deserialize

from hhmnet_core.checks.parsing import parse_json
from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder, folder
from hhmnet_core.from_json import from_json
from hhmnet_core.identity import JsonObject
from hhmnet_core.passwords import without_passwords
from hhmnet_core.training.checkpoints import (
    STATE_FILE,
    DamagedFileError,
    member_file,
    parse_summary,
)
from hhmnet_platform.members import TRAINED
from hhmnet_platform.storage.checkpoints import (
    TrainingPoint,
    is_checkpoint,
    is_within_epoch,
    parse_checkpoint_name,
)
from hhmnet_platform.storage.record_files import format_record
from hhmnet_platform.storage.results import RESULT, RunResult, format_result, parse_result
from hhmnet_platform.storage.run_identity import RunIdentity

CONFIG = "config.yaml"
IDENTITY = "science.json"
TRACKED = "tracked.json"  # exists when MLflow holds all of a finished run
SNAPSHOT = "checkpoint_manager_snapshot.json"  # Ray Train's list of checkpoints
MESHES = "layouts.json"
LOCK = ".lock"
LOCK_SECONDS = 5
_NO_SNAPSHOT = "Ray's list of checkpoints is missing"


@dataclass(frozen=True)
class Recovery:
    """How a run goes on where Ray cannot resume it by itself.

    Attributes:
        start_from: Name of the newest whole checkpoint. "" for none.
        reason: Description of the damage, for a message.
    """

    start_from: str
    reason: str


@dataclass(frozen=True)
class _Meshes:
    """The content of layouts.json: (epoch, step, data, modality) for each mesh of a run."""

    layouts: tuple[tuple[int, int, int, int], ...] = ()


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run.

    Attributes:
        name: Name of the run.
        uri: Absolute path or URI.
    """

    name: str
    uri: str

    @property
    def files(self) -> Folder:
        return folder(self.uri)

    def sub(self, name: str) -> Folder:
        """Return a folder within it."""
        return folder(f"{self.uri}/{name}")

    def read_json(self, name: str) -> JsonObject | None:
        """Return the content of a JSON file. None where there is no such file."""
        try:
            content = parse_json(self.files.read(name))
        except FileNotFoundError:
            return None
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise InputError(
                f"{name} in {self.uri} is not a JSON object: delete that file, and give the run's "
                "command again; it resumes from its checkpoints."
            )
        return content

    def write_json(self, name: str, content: JsonObject) -> None:
        self.files.write(name, format_record(content))

    def write_config(self, content: JsonObject) -> None:
        """Write config.yaml: the job as it was given, with its data resolved, without passwords."""
        plain = without_passwords(dict(content))
        self.files.write(CONFIG, yaml.safe_dump(plain, sort_keys=False).encode())

    def read_result(self) -> RunResult | None:
        """Return the result. None for a run that does not exist or is unfinished."""
        try:
            content = self.files.read(RESULT)
        except FileNotFoundError:
            return None
        return parse_result(content, f"{self.uri}/{RESULT}")

    def write_result(self, result: RunResult) -> None:
        """Write the result, which makes the run a finished one."""
        self.files.write(RESULT, format_result(result))

    @property
    def is_run(self) -> bool:
        """Whether it holds a run, begun or finished, and not something else."""
        names = self.files.names()
        return bool({IDENTITY, CONFIG, RESULT} & {*names}) or any(map(is_checkpoint, names))

    @property
    def missing_result(self) -> str:
        """The reason why there is no result, as the end of a sentence about the run."""
        if not self.files.names():
            return "does not exist"
        if not self.is_run:
            return f"is no run: it has neither {IDENTITY} nor {RESULT}"
        return f"is unfinished: it has no {RESULT}"

    @property
    def is_tracked(self) -> bool:
        """Whether MLflow holds all of the finished run."""
        return self.read_json(TRACKED) is not None

    def claim(self, identity: RunIdentity) -> None:
        """Record the identity of the run. Raises InputError where the name is taken."""
        recorded = self.read_json(IDENTITY)
        if recorded is None:
            self.write_json(IDENTITY, identity.values)
        elif differing := identity.differing(recorded):
            raise InputError(
                f"Run {self.name} exists with another {', '.join(differing)}: give another --name, "
                "or leave it out: the default is derived from the config."
            )

    @contextmanager
    def lock(self, waits: bool = False) -> Iterator[None]:
        """Keep other processes from training the run. A killed process releases the lock.

        Args:
            waits: Wait for another process, instead of raising InputError.
        """
        if not self.files.is_local:
            yield
            return
        path = Path(self.uri)
        path.mkdir(parents=True, exist_ok=True)
        with exclusive_folder(path, f"Run {self.name} is being trained by another process", waits):
            yield

    @property
    def is_being_trained(self) -> bool:
        """Whether another process of this machine trains the run."""
        path = Path(self.uri) / LOCK
        if not self.files.is_local or not path.exists():
            return False
        try:
            with FileLock(path, blocking=False):
                return False
        except Timeout:
            return True
        except OSError:  # of another user
            return False

    def latest_point(self) -> TrainingPoint:
        """Return the progress of the newest checkpoint that Ray Train resumes from."""
        snapshot = self.read_json(SNAPSHOT) or {}
        try:
            latest = snapshot["latest_checkpoint_result"]
            return parse_checkpoint_name(str(latest["checkpoint_dir_name"]))
        except (KeyError, TypeError, ValueError):  # empty or damaged; `recover` removes it
            return TrainingPoint()

    def add_mesh(self, point: TrainingPoint, data: int, modality: int) -> None:
        """Record the mesh that trains an elastic run from a point on."""
        meshes = self.meshes()
        if not meshes or meshes[-1][2:] != (data, modality):
            self.write_json(MESHES, {"layouts": [*meshes, (*point, data, modality)]})

    def meshes(self) -> tuple[tuple[int, int, int, int], ...]:
        """Return each mesh that trained the run: (epoch, step) of its start, D and P."""
        recorded = self.read_json(MESHES) or {}
        try:
            return from_json(_Meshes, recorded).layouts
        except InputError as error:
            raise InputError(
                f"{MESHES} in {self.uri} cannot be read ({str(error).rstrip('.')}): delete that "
                "file, and give the run's command again."
            ) from error

    def remove_unfinished_checkpoints(self) -> None:
        """Remove incomplete checkpoints from within an epoch."""
        snapshot = self.read_json(SNAPSHOT) or {}
        known = {
            str(each["checkpoint_dir_name"]) for each in snapshot.get("checkpoint_results", ())
        }
        for name in self.files.names():
            if is_within_epoch(name) and name not in known:
                self.files.remove_folder(name)

    def remove_earlier_checkpoints(self, last: str) -> None:
        """Remove the checkpoints before the last one, which alone a finished run needs."""
        for name in self.files.names():
            if is_checkpoint(name) and name != last:
                self.files.remove_folder(name)

    def recover(self) -> Recovery | None:
        """Make the folder usable after a crash.

        Ray Train lists the checkpoints in a snapshot that it does not write atomically: a process
        killed at that moment leaves half a file, on which Ray refuses to start, or none. Without
        the snapshot, or where the checkpoint it names last is damaged, Ray has to start anew from
        a given checkpoint.

        Returns:
            None where Ray can resume by itself or nothing was trained yet.

        Raises AccessError, and changes nothing, where a file cannot be read at present.
        """
        names = self.files.names()
        checkpoints = sorted(filter(is_checkpoint, names), reverse=True)
        if SNAPSHOT not in names and not checkpoints:
            return None
        damage = self._snapshot_damage(checkpoints) if SNAPSHOT in names else _NO_SNAPSHOT
        if not damage:
            return None
        damaged = {name: self._checkpoint_damage(name) for name in checkpoints}
        start = next((name for name, reason in damaged.items() if not reason), "")
        newer = [reason for name, reason in damaged.items() if reason and name > start]
        if SNAPSHOT in names:
            self.files.remove(SNAPSHOT)
        return Recovery(start, "; ".join(newer) or damage)

    def _snapshot_damage(self, checkpoints: list[str]) -> str:
        """Return what is wrong with Ray's list or the checkpoint it names last; "" for nothing."""
        try:
            snapshot = parse_json(self.files.read(SNAPSHOT))
            listed = {str(each["checkpoint_dir_name"]) for each in snapshot["checkpoint_results"]}
            latest = str(snapshot["latest_checkpoint_result"]["checkpoint_dir_name"])
        except (ValueError, KeyError, TypeError):
            return f"Ray's list of checkpoints, {SNAPSHOT}, is damaged"
        if missing := sorted((listed | {latest}) - set(checkpoints)):
            return f"checkpoint {', '.join(missing)} is missing"
        return self._checkpoint_damage(latest)

    def _checkpoint_damage(self, checkpoint: str) -> str:
        """Return what is wrong with a checkpoint; "" for nothing."""
        files, name = self.sub(checkpoint), STATE_FILE
        try:
            summary = parse_summary(files.read(name))
            for name in map(member_file, TRAINED.get(summary.phase, ())):
                content = files.read(name)
                summary.check_file(name, content)
                deserialize(content)
        except FileNotFoundError:
            return f"{name} of checkpoint {checkpoint} is missing"
        except DamagedFileError as error:
            return f"checkpoint {checkpoint} is damaged: {error}"
        except SafetensorError as error:
            return f"checkpoint {checkpoint} is damaged: {name} cannot be read ({error})"
        return ""

    def lacks_checksums(self, checkpoint: str) -> bool:
        """Return whether a checkpoint is of an early version, which recorded no checksums."""
        return not parse_summary(self.sub(checkpoint).read(STATE_FILE)).files


@contextmanager
def exclusive_folder(path: Path, otherwise: str, waits: bool = False) -> Iterator[None]:
    """Keep other processes out of a local folder. A killed process releases the lock.

    Args:
        path: The folder.
        otherwise: Start of the InputError that is raised where another process holds the lock.
        waits: Wait until that process releases it, instead.
    """
    lock = FileLock(path / LOCK)
    try:
        lock.acquire(timeout=-1 if waits else LOCK_SECONDS)
    except Timeout:
        raise InputError(f"{otherwise}: wait for it, or stop it.") from None
    try:
        yield
    finally:
        lock.release()
