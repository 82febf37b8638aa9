"""The model whose encoders phase 1 starts from."""

import hashlib

from hhmnet_core.deploy.description import ModelDescription, NetworkDescription
from hhmnet_core.deploy.folders import read_description, read_weights
from hhmnet_core.errors import InputError
from hhmnet_core.from_json import from_json
from hhmnet_core.fusion.scores import VIDEO
from hhmnet_core.identity import canonical, differing
from hhmnet_core.store.manifest import Manifest
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.initial_weights import InitialWeights


def initial_digest(uri: str) -> str:
    """Return the digest of a model's encoders, sha256 in hex. Raises InputError for no model."""
    return _digest(read_description(uri))


def check_initial_model(config: Phase1Config, manifest: Manifest) -> None:
    """Raise InputError where the model of a config cannot be what its encoders start from.

    Args:
        config: Config whose `init_from` is the folder of a model.
        manifest: Layout and classes of the clips that it trains on.
    """
    model = read_description(config.init_from)
    if model.skeleton != manifest.skeleton:
        raise InputError(
            f"The model {config.init_from} reads layout {model.layout}, but the clips are of "
            f"{manifest.layout}: give --data.layout {model.layout}, where there is a map, or a "
            "model of their layout."
        )
    for network in _encoders(model):
        trained = from_json(Phase1Config, network.config).model
        if names := differing(network.config["model"], config.model):
            raise InputError(
                f"The {network.member} encoder of {config.init_from} differs in "
                f"{', '.join(f'model.{name}' for name in names)} (there "
                f"{', '.join(str(getattr(trained, name)) for name in names)}): give the same."
            )


def read_initial_weights(uri: str, manifest: Manifest) -> InitialWeights:
    """Return the weights of a model's encoders, for clips of a manifest.

    Raises:
        InputError: No model, or one that is damaged.
    """
    model = read_description(uri)
    weights = read_weights(uri, model)
    return InitialWeights(
        _digest(model),
        {network.member: weights[network.name] for network in _encoders(model)},
        same_classes=model.class_names == manifest.class_names,
    )


def _encoders(model: ModelDescription) -> list[NetworkDescription]:
    encoders = [network for network in model.networks if network.member != VIDEO]
    members = [network.member for network in encoders]
    if len(set(members)) < len(members):
        raise InputError(
            f"The model {model.name} has several encoders of a modality ({', '.join(members)}): "
            "give one of a phase-1 run as init_from."
        )
    return encoders


def _digest(model: ModelDescription) -> str:
    checksums = {network.member: network.sha256 for network in _encoders(model)}
    return hashlib.sha256(canonical(checksums)).hexdigest()
