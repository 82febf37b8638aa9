"""Names of MLflow experiments."""

from hhmnet_core.store.protocols import LITERATURE, VAL


def experiment_name(dataset: str, protocol: str, selection: str) -> str:
    """MLflow's experiment of runs whose figures may stand beside each other."""
    kind = {VAL: "", LITERATURE: " (literature)"}.get(selection, " (folds)")
    return f"{dataset}/{protocol}{kind}"
