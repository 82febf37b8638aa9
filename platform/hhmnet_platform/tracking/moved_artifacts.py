"""Artifacts of a workspace that was moved or copied: MLflow records them by absolute path.

The database of a workspace and its folder of artifacts lie side by side. Where the database refers
to another folder of that name, it is corrected before anything reads it.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from hhmnet_platform.tracking.uri import artifact_location

ARTIFACTS = "mlartifacts"  # beside the database of a workspace
_LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def follow_move(database: Path) -> None:
    """Let a workspace's database refer to the artifacts beside it, if it refers to others.

    Nothing changes where both paths lead to one folder, or where the other folder exists and has
    nothing in common with the one beside the database.

    Args:
        database: SQLite file of a workspace.
    """
    folder = database.parent / ARTIFACTS
    if not (database.is_file() and folder.is_dir()):
        return
    try:
        with closing(sqlite3.connect(database)) as connection, connection:
            for earlier in _earlier_folders(connection, folder):
                _replace(connection, earlier, artifact_location(str(folder)))
    except sqlite3.Error:
        return  # no tables yet, or no right to write: MLflow reports what hinders it


def _earlier_folders(connection: sqlite3.Connection, folder: Path) -> list[str]:
    """Return the recorded folders of a workspace's artifacts that are not `folder`."""
    rows = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
    recorded = [str(row[0]) for row in rows if str(row[0]).endswith(f"/{ARTIFACTS}")]
    here = artifact_location(str(folder))
    return [each for each in recorded if each != here and _has_moved(each, folder)]


def _has_moved(recorded: str, folder: Path) -> bool:
    """Return whether a recorded folder was moved or copied to `folder`."""
    from mlflow.utils.file_utils import local_file_uri_to_path

    earlier = Path(local_file_uri_to_path(recorded))
    if not earlier.is_dir():
        return True
    is_linked = os.path.samefile(earlier, folder)
    return not is_linked and bool(set(os.listdir(earlier)) & set(os.listdir(folder)))


def _replace(connection: sqlite3.Connection, earlier: str, now: str) -> None:
    for table, column in _LOCATIONS:
        connection.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
            f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
            (now, len(earlier) + 1, earlier, len(earlier) + 1, f"{earlier}/"),
        )
