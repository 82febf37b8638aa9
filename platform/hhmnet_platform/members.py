"""Members: the networks of a run and their fusion, each with figures and metrics of its own."""

from hhmnet_core.fusion.scores import FUSION, VIDEO
from hhmnet_core.skeleton.modalities import MODALITIES

__all__ = ["ALL", "COLOURS", "FUSION", "MEMBERS", "TRAINED", "VIDEO"]

# By phase: the networks that it trains, and all members that it reports on.
TRAINED = {"phase1": MODALITIES, "phase2": (VIDEO,)}
MEMBERS = {phase: (*networks, FUSION) for phase, networks in TRAINED.items()}
ALL = (*MODALITIES, VIDEO, FUSION)
# One colour per member, in our figures and in MLflow's charts.
COLOURS = dict(
    zip(ALL, ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#000000"), strict=True)
)
