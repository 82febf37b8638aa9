"""Unpacks the workspace that version 0.1.0 made, as if it had been made where it is unpacked."""

import sqlite3
import tarfile
from pathlib import Path

EXAMPLE = Path(__file__).parent / "examples" / "workspace-0.1.0.tar.xz"
MADE_AT = "/tmp/hhmnet-example"
PHASE1, PHASE2 = "example-phase1-37446ac7", "example-phase2-164b746b"
FUSION, ENSEMBLE = "example-fusion-*", "example-ensemble-*"


def unpack(folder: Path) -> tuple[Path, Path]:
    """Return the store and the workspace, unpacked into a folder."""
    with tarfile.open(EXAMPLE) as archive:
        archive.extractall(folder, filter="data")
    with sqlite3.connect(folder / "workspace" / "mlflow.db") as database:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            database.execute(
                f"UPDATE {table} SET {column} = REPLACE({column}, ?, ?)", (MADE_AT, str(folder))
            )
    database.close()
    for config in folder.glob("workspace/runs/*/config.yaml"):
        config.write_text(config.read_text().replace(MADE_AT, str(folder)))
    return folder / "store", folder / "workspace"
