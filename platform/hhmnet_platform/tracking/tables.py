"""Tables among the artifacts of MLflow runs, which its pages show as tables."""

import json
from collections.abc import Iterable, Mapping, Sequence

from hhmnet_platform.tracking import tags

Table = Mapping[str, Sequence[object]]  # columns of equal length, by name


def table_content(table: Table) -> bytes:
    """Return a table as MLflow's `log_table` writes it, which adds rows to a table that exists."""
    rows = list(map(list, zip(*table.values(), strict=True)))
    return json.dumps({"columns": list(table), "data": rows}).encode()


def tables_tag(paths: Iterable[str]) -> dict[str, str]:
    """Return the tag by which MLflow knows tables among a run's artifacts; nothing without any."""
    tables = [{"path": path, "type": "table"} for path in paths]
    return {tags.MLFLOW_TABLES: json.dumps(tables)} if tables else {}
