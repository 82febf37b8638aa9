"""Finding a run by what users call it: its name, its folder, an MLflow run, its model."""

import re

from hhmnet_core.checks.names import check_name
from hhmnet_core.deploy.folders import read_description
from hhmnet_platform.storage.models import has_model
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.storage.workspace import Workspace, absolute_uri
from hhmnet_platform.tracking.model_downloads import download_model, is_mlflow_address
from hhmnet_platform.tracking.queries import run_name_of

_OF_MLFLOW = re.compile(r"([0-9a-f]{32})|runs:/([0-9a-f]{32})(?:/model/?)?")


def find_run(given: str, workspace: Workspace, tracking_uri: str) -> RunFolder:
    """Return the folder of a run, which need not exist.

    Args:
        given: Its name in the workspace, its folder, the id of one of its runs in MLflow, or its
            model: models:/NAME/VERSION, models:/NAME@ALIAS, runs:/ID, or the model's folder.
        workspace: Workspace to look in.
        tracking_uri: MLflow tracking URI. "" for the database in the workspace.

    Raises InputError for a name that cannot be used, and where MLflow holds no such run or model.
    """
    if match := _OF_MLFLOW.fullmatch(given):
        uri = workspace.tracking_uri(tracking_uri)
        return workspace.run(run_name_of(uri, match[1] or match[2]))
    if is_mlflow_address(given):
        model = download_model(workspace.tracking_uri(tracking_uri), given)
        return workspace.run(read_description(model).name)
    if "/" not in given:
        return workspace.run(given)
    uri = absolute_uri(given)
    if has_model(uri):
        uri = uri.rpartition("/")[0]
    return RunFolder(check_name(uri.rpartition("/")[2]), uri)
