"""What a phase reports on: what it trains, and the fusion."""

from hhmnet_core.fusion.scores import FUSION, VIDEO
from hhmnet_core.skeleton.modalities import MODALITIES

__all__ = ["ALL", "COLOURS", "FUSION", "MEMBERS", "TRAINED", "VIDEO"]

TRAINED = {"phase1": MODALITIES, "phase2": (VIDEO,)}
MEMBERS = {phase: (*trained, FUSION) for phase, trained in TRAINED.items()}
ALL = (*MODALITIES, VIDEO, FUSION)
# The same in our figures and in MLflow's charts.
COLOURS = dict(
    zip(ALL, ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#000000"), strict=True)
)
