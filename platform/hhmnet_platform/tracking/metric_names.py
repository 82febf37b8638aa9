"""Which values of a run's history MLflow holds as metrics, and under which names."""

from collections.abc import Mapping

# Written as a table and as params: MLflow would draw a chart with one point for each.
_NOT_METRICS = ("similarity/", "fitted/weight/")
# MLflow's charts are grouped by what is before the slash: the best value beside its metric.
_ALSO = {"best/val_top1": "val/top1_best"}


def tracked_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of an epoch that MLflow holds, by the names that it shows."""
    kept = {name: each for name, each in metrics.items() if not name.startswith(_NOT_METRICS)}
    return kept | {_ALSO[name]: value for name, value in kept.items() if name in _ALSO}
