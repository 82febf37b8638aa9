"""MLflow experiments: their names, and making them."""

from typing import TYPE_CHECKING

from hhmnet_core.store.protocols import LITERATURE, VAL

if TYPE_CHECKING:
    from mlflow import MlflowClient


def experiment_name(dataset: str, protocol: str, selection: str) -> str:
    """Return the name of the experiment that holds all runs comparable with such a run."""
    kind = {VAL: "", LITERATURE: " (literature)"}.get(selection, " (folds)")
    return f"{dataset}/{protocol}{kind}"


def ensure_experiment(client: "MlflowClient", name: str, artifacts: str) -> str:
    """Return the id of an experiment, made first where there is none; drivers may do so at once.

    Args:
        client: Client of MLflow.
        name: Name of the experiment.
        artifacts: Folder or URI for the artifacts of a new experiment. "" leaves it to MLflow.

    Raises MlflowException where MLflow cannot be written to.
    """
    from mlflow.exceptions import MlflowException

    known = client.get_experiment_by_name(name)
    if known is None:
        try:
            return str(client.create_experiment(name, artifacts or None))
        except MlflowException:  # another driver was faster
            known = client.get_experiment_by_name(name)
            if known is None:
                raise
    return str(known.experiment_id)
