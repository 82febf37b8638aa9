"""Finding the finished phase-1 run that guides phase 2, and checking that it fits."""

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import StoreConfig
from hhmnet_core.training.checkpoints import (
    STATE_FILE,
    DamagedFileError,
    member_file,
    parse_summary,
)
from hhmnet_platform.storage.find_run import find_run
from hhmnet_platform.storage.finished_run import FinishedRun
from hhmnet_platform.storage.workspace import Workspace


def find_guiding_run(name: str, workspace: Workspace, tracking_uri: str) -> FinishedRun:
    """Find a phase-1 run.

    Args:
        name: As `given` of `find_run`.
        workspace: Workspace to look in.
        tracking_uri: MLflow tracking URI. "" for the database in the workspace.

    Raises InputError where the name is missing, or the run does not exist or is unfinished.
    """
    if not name:
        raise InputError(
            "--phase1 is missing: give the finished phase-1 run that guides, its name or folder."
        )
    folder = find_run(name, workspace, tracking_uri)
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
