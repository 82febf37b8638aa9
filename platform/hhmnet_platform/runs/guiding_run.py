"""The finished phase-1 run that guides phase 2."""

import hashlib
import re
from typing import Any

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import StoreConfig
from hhmnet_platform.storage.run_folder import RESULT, RunFolder
from hhmnet_platform.storage.workspace import Workspace, absolute_uri
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.client import set_quiet_defaults


def finished_phase1(
    given: str, workspace: Workspace, tracking_uri: str, data: StoreConfig, skeletons: str
) -> RunFolder:
    """The phase-1 run that guides phase 2.

    Args:
        given: Its name in the workspace, its folder, or the id of one of its runs in MLflow.
        workspace: Where it is looked for.
        tracking_uri: Of MLflow; "" for the database in the workspace.
        data: What phase 2 is trained on.
        skeletons: The digest of those.

    Raises InputError where there is none, or it is unfinished, of other skeletons, or of another
    protocol or selection.
    """
    run, result = phase1_result(given, workspace, tracking_uri)
    for what, seen, wanted in (
        ("is a run of", result["phase"], "phase1"),
        ("was trained on skeletons of digest", result["digest"][:12], skeletons[:12]),
        ("was trained by protocol", result["protocol"], data.protocol),
        ("was trained with selection", result["selection"], data.selection),
    ):
        if seen != wanted:
            raise InputError(
                f"{run.uri} {what} {seen}, but {wanted} is needed here: give another --phase1, or "
                "train one to match (anew, if it is from before runs were bound to skeletons)."
            )
    return run


def phase1_result(
    given: str, workspace: Workspace, tracking_uri: str
) -> tuple[RunFolder, dict[str, Any]]:
    """The run that is given, and its result. Raises InputError where it has none."""
    if not given:
        raise InputError(
            "--phase1 is missing: give the finished phase-1 run that guides, its name or folder."
        )
    name = given
    if re.fullmatch("[0-9a-f]{32}", name):
        name = _name_in_mlflow(name, workspace.tracking_uri(tracking_uri))
    run = workspace.run(name)
    if "/" in name:
        run = RunFolder(name.rstrip("/").rpartition("/")[2], absolute_uri(name))
    if not run.place.names():
        raise InputError(f"There is no phase-1 run at {run.uri}: check its name and --workspace.")
    result = run.read_json(RESULT)
    if result is None:
        raise InputError(
            f"The phase-1 run {run.uri} is unfinished: start it again with its own command, it "
            "goes on."
        )
    return run, result


def weights_digest(guide: RunFolder, modality: str) -> str:
    """Of a modality's weights in the run's last checkpoint: another guide makes another run."""
    checkpoint = guide.result()["checkpoint"]
    try:
        weights = guide.sub(checkpoint).read(f"{modality}.safetensors")
    except FileNotFoundError as error:
        raise InputError(
            f"The phase-1 run {guide.uri} has lost the {modality} weights of {checkpoint}: train "
            "it again."
        ) from error
    return hashlib.sha256(weights).hexdigest()


def _name_in_mlflow(run_id: str, uri: str) -> str:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    set_quiet_defaults()
    try:
        return str(MlflowClient(uri).get_run(run_id).data.tags[tags.RUN])
    except (MlflowException, KeyError) as error:
        raise InputError(f"MLflow at {uri} holds no run {run_id} of this platform.") from error
