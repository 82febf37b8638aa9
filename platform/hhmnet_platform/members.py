"""The five that a phase reports on: each modality, and their fusion."""

from hhmnet_core.fusion.scores import FUSION
from hhmnet_core.skeleton.modalities import MODALITIES

__all__ = ["COLOURS", "FUSION", "MEMBERS"]

MEMBERS = (*MODALITIES, FUSION)
# The same in our figures and in MLflow's charts.
COLOURS = dict(zip(MEMBERS, ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#000000"), strict=True))
