"""The skeleton encoders that a config can name."""

from hhmnet_core.errors import InputError
from hhmnet_core.models.baselines import CtrGcn, StGcn
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.models.encoder import Encoder
from hhmnet_core.models.stst import Stst
from hhmnet_core.skeleton.layouts import Layout

ENCODERS: dict[str, type[Encoder]] = {"stst": Stst, "st_gcn": StGcn, "ctr_gcn": CtrGcn}


def encoder_type(name: str) -> type[Encoder]:
    """Return the class that is registered under a name.

    Raises InputError for a name that is not registered.
    """
    if name not in ENCODERS:
        raise InputError(f"model.name must be one of {', '.join(ENCODERS)}, but is {name}.")
    return ENCODERS[name]


def build_encoder(
    config: ModelConfig,
    layout: Layout,
    num_classes: int,
    temperature: float = 0.1,
    learn_temperature: bool = False,
) -> Encoder:
    """Build the encoder that the config names; the arguments are those of `Encoder`.

    Raises InputError for a name that is not registered.
    """
    encoder = encoder_type(config.name)
    return encoder(config, layout, num_classes, temperature, learn_temperature)
