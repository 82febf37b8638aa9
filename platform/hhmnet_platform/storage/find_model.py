"""Finding a model by what users call it: its folder, a run, a fusion, an ensemble."""

import re

from hhmnet_core.checks.names import is_name
from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_platform.storage.finished_run import FinishedRun
from hhmnet_platform.storage.models import MODEL, ensure_run_model, has_model
from hhmnet_platform.storage.results import RESULT
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.storage.workspace import Workspace, absolute_uri
from hhmnet_platform.tracking.model_downloads import download_model, is_mlflow_address
from hhmnet_platform.tracking.queries import run_name_of

_KINDS = ("runs", "fusions", "ensembles")


def find_model(given: str, workspace: Workspace, tracking_uri: str = "", store: str = "") -> str:
    """Return the folder of a model. A run that finished before models existed gets one.

    Args:
        given: Folder of a model, or of what it comes from; the name of a finished run, a fusion or
            an ensemble in the workspace; the id of one of a run's MLflow runs; or an address in
            MLflow, models:/NAME/VERSION, models:/NAME@ALIAS or runs:/ID.
        workspace: Workspace to look in.
        tracking_uri: MLflow tracking URI. "" for the database in the workspace.
        store: URI of the store of a run that has no model yet. Default: where it was.

    Raises:
        InputError: Nothing of that name, something unfinished, or a model that cannot be built.
    """
    if not given:
        raise InputError(
            "--model is missing: give the folder of a model, or the name of a finished run, fusion "
            "or ensemble."
        )
    if is_mlflow_address(given):
        return download_model(workspace.tracking_uri(tracking_uri), given)
    if re.fullmatch("[0-9a-f]{32}", given):
        given = run_name_of(workspace.tracking_uri(tracking_uri), given)
    places = [absolute_uri(given)] if "/" in given or not is_name(given) else []
    places = places or [workspace.at(f"{kind}/{given}") for kind in _KINDS] + [absolute_uri(given)]
    for place in places:
        names = folder(place).names()
        if has_model(place):
            return place
        if has_model(f"{place}/{MODEL}"):
            return f"{place}/{MODEL}"
        if RESULT in names:
            run = RunFolder(place.rpartition("/")[2], place)
            return ensure_run_model(FinishedRun.read(run), store)
        if folder(place).is_file:
            raise InputError(
                f"{place} is a file: give the folder of a model. Exported files, onnx and pt2, are "
                "for ONNX Runtime and torch.export; this command reads the model they come from."
            )
        if names:
            raise InputError(
                f"{place} holds no model: finish it with its own command, or give the folder of "
                "another."
            )
    known = ", ".join(_names(workspace)[:10]) or "none"
    raise InputError(
        f"There is no model {given}: give the folder of one, or the name of a finished run, fusion "
        f"or ensemble of --workspace {workspace.uri}, which has {known}."
    )


def _names(workspace: Workspace) -> list[str]:
    """Return the names of all that holds a model, or can get one."""
    return [
        name
        for kind in _KINDS
        for name in folder(workspace.at(kind)).names()
        if {RESULT, MODEL} & set(folder(workspace.at(f"{kind}/{name}")).names())
    ]
