import json

import pandas
from mlflow import MlflowClient

from hhmnet_platform.tracking.tables import table_content, tables_tag

TABLE = {"clip": ["a", "bü"], "share": [0.5, None]}


def test_table_is_written_as_by_mlflow(uri: str) -> None:
    client = MlflowClient(uri)
    run_id = client.create_run(client.create_experiment("toy", f"{uri[10:]}.artifacts")).info.run_id
    client.log_table(run_id, dict(TABLE), "own.json")
    with open(client.download_artifacts(run_id, "own.json")) as file:
        assert json.load(file) == json.loads(table_content(TABLE))
    held = client.get_run(run_id).data.tags
    assert tables_tag(["own.json"]).items() <= held.items()


def test_run_without_tables_has_no_tag() -> None:
    assert tables_tag([]) == {}


def test_table_without_rows_keeps_its_columns() -> None:
    content = json.loads(table_content({"clip": [], "true": []}))
    assert pandas.DataFrame(**content).columns.tolist() == ["clip", "true"]
