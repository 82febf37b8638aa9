"""The encoders that a config can name."""

from dataclasses import dataclass
from typing import Literal

from hhmnet_core.models.baselines import CtrGcn, StGcn
from hhmnet_core.models.encoder import Encoder
from hhmnet_core.models.stst import Stst, StstConfig
from hhmnet_core.skeleton.layouts import Layout


@dataclass
class ModelConfig(StstConfig):
    """Which encoder, and the size of an ST&ST one.

    Attributes:
        name: "stst", or a baseline as its paper has it, "st_gcn" or "ctr_gcn", whose only
            setting here is `embedding`.
    """

    name: Literal["stst", "st_gcn", "ctr_gcn"] = "stst"


def build_encoder(
    config: ModelConfig,
    layout: Layout,
    num_classes: int,
    temperature: float = 0.1,
    learn_temperature: bool = False,
) -> Encoder:
    """A new encoder; the arguments beside the config are an `Encoder`'s."""
    if config.name == "stst":
        return Stst(config, layout, num_classes, temperature, learn_temperature)
    baseline = {"st_gcn": StGcn, "ctr_gcn": CtrGcn}[config.name]
    return baseline(layout, num_classes, config.embedding, temperature, learn_temperature)
