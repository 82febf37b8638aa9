"""MLflow experiments: their names, and making them."""

from shlex import quote
from typing import TYPE_CHECKING

from hhmnet_core.errors import InputError
from hhmnet_core.passwords import without_password
from hhmnet_core.store.protocols import LITERATURE, VAL
from hhmnet_platform.tracking import tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

MODEL_TRAINING = "custom_model_development"  # the kind of experiment that is not of GenAI
_NOTE = (
    "Comparable runs: one data set, one protocol, one selection of the epoch. The + shows a "
    "run's networks."
)
_ABLATIONS = "/ablations"
_NOTE_OF_ABLATIONS = "Ablations: the + shows the trials of one, each a variant, a bench and a seed."


def experiment_name(dataset: str, protocol: str, selection: str) -> str:
    """Return the name of the experiment that holds all runs comparable with such a run."""
    kind = {VAL: "", LITERATURE: " (literature)"}.get(selection, " (folds)")
    return f"{dataset}/{protocol}{kind}"


def ablation_experiment(dataset: str) -> str:
    """Return the name of the experiment that holds the ablations on a data set.

    It is one of its own: an ablation's benches may differ in protocol, selection and data set.
    """
    return f"{dataset}{_ABLATIONS}"


def find_experiment(client: "MlflowClient", name: str) -> "Experiment | None":
    """Return an experiment. None where there is none; InputError where it is in MLflow's trash."""
    known = client.get_experiment_by_name(name)
    if known is not None and known.lifecycle_stage == "deleted":
        raise InputError(
            f"The experiment {name} is in the trash of MLflow, where no run can be read or "
            f"written: restore it, `{restore_command(client, 'experiments')} --experiment-id "
            f"{known.experiment_id}`, or remove it for good, `mlflow gc`."
        )
    return known


def restore_command(client: "MlflowClient", kind: str) -> str:
    """Return the command that takes "experiments" or "runs" out of the trash, without their id."""
    uri = without_password(client.tracking_uri.partition("?")[0])
    return f"MLFLOW_TRACKING_URI={quote(uri)} mlflow {kind} restore"


def ensure_experiment(client: "MlflowClient", name: str, artifacts: str) -> str:
    """Return the id of an experiment, made first where there is none; drivers may do so at once.

    Args:
        client: Client of MLflow.
        name: Name of the experiment.
        artifacts: Folder or URI for the artifacts of a new experiment. "" leaves it to MLflow.

    Raises:
        InputError: The experiment is in MLflow's trash.
        MlflowException: MLflow cannot be written to.
    """
    from mlflow.exceptions import MlflowException

    known = find_experiment(client, name)
    note = _NOTE_OF_ABLATIONS if name.endswith(_ABLATIONS) else _NOTE
    own_tags = {tags.MLFLOW_KIND: MODEL_TRAINING, tags.MLFLOW_NOTE: note}
    if known is None:
        try:
            client.create_experiment(name, artifacts or None, own_tags)
        except MlflowException:  # another driver was faster
            if find_experiment(client, name) is None:
                raise
        known = find_experiment(client, name)
        assert known is not None
    for tag, value in own_tags.items():
        if tag not in known.tags:
            client.set_experiment_tag(known.experiment_id, tag, value)
    return str(known.experiment_id)
