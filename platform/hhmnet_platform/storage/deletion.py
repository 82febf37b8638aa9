"""Delete runs of a workspace, with what MLflow holds of them."""

import sys
from contextlib import ExitStack
from dataclasses import dataclass, field

import yaml

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_platform.storage.find_run import find_run
from hhmnet_platform.storage.listing import ListedRun, existing_runs, in_megabytes
from hhmnet_platform.storage.results import RESULT
from hhmnet_platform.storage.run_folder import CONFIG, IDENTITY, RunFolder
from hhmnet_platform.storage.workspace import Workspace, absolute_uri, default_workspace
from hhmnet_platform.tracking.deletion import TrackedParts, delete_parts, tracked_parts
from hhmnet_platform.tracking.uri import default_tracking


@dataclass
class RunsDeletion:
    """Which runs to delete.

    Attributes:
        runs: Names of runs in the workspace.
        workspace: Folder or URI of the workspace. Default: $HHMNET_WORKSPACE, else `workspace`.
        tracking_uri: MLflow tracking URI. Default: $MLFLOW_TRACKING_URI, else the database in the
            workspace.
        yes: Delete without asking.
    """

    runs: list[str] = field(default_factory=list)
    workspace: str = field(default_factory=default_workspace)
    tracking_uri: str = field(default_factory=default_tracking)
    yes: bool = False


def delete_runs(job: RunsDeletion) -> None:
    """Delete runs: their MLflow runs and models, then their folders. Asks first.

    Raises InputError for a run that does not exist, is being trained, guides an unfinished one, or
    whose model an alias of MLflow points to; nothing is deleted then.
    """
    workspace = Workspace(absolute_uri(job.workspace))
    uri = workspace.tracking_uri(job.tracking_uri)
    runs = existing_runs(workspace, job.runs)
    _check_no_guide(workspace, job.tracking_uri, [run.folder.name for run in runs])
    with ExitStack() as stack:
        for run in runs:
            stack.enter_context(run.folder.lock())
        parts = {run.folder.name: _parts_of(uri, run) for run in runs}
        _check_no_alias(parts)
        print("\n".join(_line(run, parts[run.folder.name]) for run in runs))
        if not job.yes and not _agreed():
            print("Nothing was deleted.")
            return
        for run in runs:
            delete_parts(uri, parts[run.folder.name])
            folder(workspace.at("runs")).remove_folder(run.folder.name)
            print(f"Deleted {run.folder.name}.")


def _parts_of(uri: str, run: ListedRun) -> TrackedParts:
    identity = run.folder.read_json(IDENTITY)
    if identity is None:  # then MLflow has not been written to
        return TrackedParts((), (), (), ())
    return tracked_parts(uri, run.folder.name, identity)


def _check_no_guide(workspace: Workspace, tracking_uri: str, names: list[str]) -> None:
    """Raise InputError where an unfinished run that stays needs one of these."""
    for name in workspace.run_names():
        run = workspace.run(name)
        files = run.files.names()
        if name in names or RESULT in files or CONFIG not in files:
            continue
        guide = _guide_of(run, workspace, tracking_uri)
        if guide in names:
            raise InputError(
                f"Run {guide} guides {name}, which is unfinished: finish that run, or delete both."
            )


def _guide_of(run: RunFolder, workspace: Workspace, tracking_uri: str) -> str:
    """Return the name of the run that an unfinished run was told to be guided by. "" for none."""
    try:
        given = str(yaml.safe_load(run.files.read(CONFIG))["phase1"])
    except KeyError:
        return ""  # phase 1
    except (yaml.YAMLError, TypeError, UnicodeDecodeError) as error:
        raise _unknown_guide(run, f"{CONFIG} in {run.uri} is damaged") from error
    try:
        return find_run(given, workspace, tracking_uri).name if given else ""
    except InputError as error:
        raise _unknown_guide(run, str(error).rstrip(".")) from error


def _unknown_guide(run: RunFolder, reason: str) -> InputError:
    return InputError(
        f"{reason}, so it is not known which run guides {run.name}: delete that run as well."
    )


def _check_no_alias(parts: dict[str, TrackedParts]) -> None:
    for name, part in parts.items():
        if part.aliases:
            raise InputError(
                f"The model of run {name} is {', '.join(part.aliases)}: move the alias to another "
                "version in MLflow first."
            )


def _line(run: ListedRun, part: TrackedParts) -> str:
    size = in_megabytes(run.sizes.total())
    return f"{run.folder.name} ({run.described}): {size} in {run.folder.uri}. MLflow: {part}."


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise InputError("There is nobody to ask whether to delete: give --yes.")
    return input("Delete this for good? [y/N] ").strip().lower() in ("y", "yes")
