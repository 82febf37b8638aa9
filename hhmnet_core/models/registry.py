"""The encoders that a config can name."""

from dataclasses import dataclass
from typing import Literal

from hhmnet_core.errors import InputError
from hhmnet_core.models.baselines import CtrGcn, GraphEncoder, StGcn
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


_ENCODERS: dict[str, type[Stst] | type[StGcn] | type[CtrGcn]] = {
    "stst": Stst,
    "st_gcn": StGcn,
    "ctr_gcn": CtrGcn,
}


def encoder_type(name: str) -> type[Encoder]:
    """Return the class that is registered under a name.

    Raises InputError for a name that is not registered.
    """
    if name not in _ENCODERS:
        raise InputError(f"model.name must be one of {', '.join(_ENCODERS)}, but is {name}.")
    return _ENCODERS[name]


def build_encoder(
    config: ModelConfig,
    layout: Layout,
    num_classes: int,
    temperature: float = 0.1,
    learn_temperature: bool = False,
) -> Encoder:
    """A new encoder; the arguments beside the config are an `Encoder`'s."""
    encoder = encoder_type(config.name)
    if issubclass(encoder, Stst):
        return encoder(config, layout, num_classes, temperature, learn_temperature)
    assert issubclass(encoder, GraphEncoder)
    return encoder(layout, num_classes, config.embedding, temperature, learn_temperature)
