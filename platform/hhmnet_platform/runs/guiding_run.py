"""Finding the finished phase-1 run that guides phase 2, and checking that it fits."""

import re

from hhmnet_core.checks.names import check_name
from hhmnet_core.deploy.folders import read_description
from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import StoreConfig
from hhmnet_core.training.checkpoints import (
    STATE_FILE,
    DamagedFileError,
    member_file,
    parse_summary,
)
from hhmnet_platform.storage.finished_run import FinishedRun
from hhmnet_platform.storage.models import has_model
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.storage.workspace import Workspace, absolute_uri
from hhmnet_platform.tracking.model_downloads import download_model, is_mlflow_address
from hhmnet_platform.tracking.queries import run_name_of

_OF_MLFLOW = re.compile(r"([0-9a-f]{32})|runs:/([0-9a-f]{32})(?:/model/?)?")


def find_guiding_run(name: str, workspace: Workspace, tracking_uri: str) -> FinishedRun:
    """Find a phase-1 run.

    Args:
        name: Its name in the workspace, its folder, the id of one of its runs in MLflow, or its
            model: models:/NAME/VERSION, models:/NAME@ALIAS, runs:/ID, or the model's folder.
        workspace: Workspace to look in.
        tracking_uri: MLflow tracking URI. "" for the database in the workspace.

    Raises InputError where the name is missing, or the run does not exist or is unfinished.
    """
    if not name:
        raise InputError(
            "--phase1 is missing: give the finished phase-1 run that guides, its name or folder."
        )
    folder = _run_folder(name, workspace, tracking_uri)
    if not folder.files.names():
        raise InputError(
            f"There is no phase-1 run at {folder.uri}: check its name and --workspace."
        )
    result = folder.read_result()
    if result is None:
        raise InputError(
            f"The phase-1 run {folder.uri} {folder.missing_result}. Check --phase1, or give the "
            "run's own command again: it resumes."
        )
    return FinishedRun(folder, result)


def _run_folder(name: str, workspace: Workspace, tracking_uri: str) -> RunFolder:
    if match := _OF_MLFLOW.fullmatch(name):
        uri = workspace.tracking_uri(tracking_uri)
        return workspace.run(run_name_of(uri, match[1] or match[2]))
    if is_mlflow_address(name):
        model = download_model(workspace.tracking_uri(tracking_uri), name)
        return workspace.run(read_description(model).name)
    if "/" not in name:
        return workspace.run(name)
    uri = absolute_uri(name)
    if has_model(uri):
        uri = uri.rpartition("/")[0]
    return RunFolder(check_name(uri.rpartition("/")[2]), uri)


def check_guiding_run(run: FinishedRun, data: StoreConfig, skeletons: str) -> None:
    """Raise InputError where a run cannot guide phase 2.

    Args:
        run: A finished run.
        data: Training data of phase 2.
        skeletons: Digest of its skeletons.
    """
    result = run.result
    for what, value, needed in (
        ("is a run of", result.phase, "phase1"),
        ("was trained on skeletons of digest", result.digest[:12], skeletons[:12]),
        ("was trained by protocol", result.protocol, data.protocol),
        ("was trained with selection", result.selection, data.selection),
    ):
        if value != needed:
            raise InputError(
                f"{run.folder.uri} {what} {value}, but {needed} is needed here: give another "
                "--phase1, or train a matching one. Runs of early versions, without a digest of "
                "the skeletons, have to be trained again."
            )


def weights_digest(run: FinishedRun, modality: str) -> str:
    """Return the sha256 (hex) of a modality's weights in the run's last checkpoint.

    Raises InputError where they are missing or damaged.
    """
    checkpoint, name = run.folder.sub(run.result.checkpoint), member_file(modality)
    try:
        summary = parse_summary(checkpoint.read(STATE_FILE))
        return summary.check_file(name, checkpoint.read(name))
    except FileNotFoundError as error:
        raise InputError(
            f"The phase-1 run {run.folder.uri} lacks the {modality} weights of "
            f"{run.result.checkpoint}: train it again."
        ) from error
    except DamagedFileError as error:
        raise InputError(
            f"The phase-1 run {run.folder.uri} is damaged ({error}, in {run.result.checkpoint}): "
            "train it again."
        ) from error
