"""The folder of a model: `model.json`, and one safetensors file for each network."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from hhmnet_core.deploy.description import (
    DESCRIPTION,
    ModelDescription,
    format_description,
    parse_description,
)
from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder, folder
from hhmnet_core.store.reading import Uri

Weights = Mapping[str, Mapping[str, Tensor]]  # by network, and name of the tensor
_EXPANSION = 3  # the file, the tensors that it is parsed into, and their copies


def model_content(model: ModelDescription, weights: Weights) -> dict[str, bytes]:
    """Return the files of a model by name, `model.json` last.

    Args:
        model: Its description; checksums are filled in.
        weights: Tensors of each of its networks.
    """
    files: dict[str, bytes] = {}
    networks = []
    for network in model.networks:
        tensors = {name: each.contiguous().cpu() for name, each in weights[network.name].items()}
        content = files[network.file] = save(tensors)
        networks.append(replace(network, sha256=hashlib.sha256(content).hexdigest()))
    described = replace(model, networks=tuple(networks))
    return files | {DESCRIPTION: format_description(described)}


def write_model(files: Mapping[str, bytes], uri: Uri) -> None:
    """Write the files of a model into a folder; `model.json`, the last, makes it complete.

    Raises:
        InputError: The folder cannot be written.
    """
    target = folder(uri)
    if DESCRIPTION in target.names():  # half of a new model must not look like the old one
        target.remove(DESCRIPTION)
    for name, content in files.items():
        target.write(name, content)


def read_description(uri: Uri, *, without_video: bool = False) -> ModelDescription:
    """Return the description of the model in a folder.

    Args:
        uri: Folder of the model, a path or any fsspec URI.
        without_video: Leave out the video networks of the model.

    Raises:
        InputError: No model, or one that `parse_description` refuses.
    """
    try:
        content = folder(uri).read(DESCRIPTION)
    except FileNotFoundError as error:
        raise InputError(
            f"There is no model at {uri} (no {DESCRIPTION}): check the address, or make one of a "
            "finished run with `hhmnet export`."
        ) from error
    described = parse_description(content, str(uri))
    return described.without_video() if without_video else described


def read_weights(uri: Uri, model: ModelDescription) -> dict[str, dict[str, Tensor]]:
    """Return the tensors of each network of a model, verified.

    Raises:
        InputError: A file that is missing, or is not as it was written.
        AccessError: A file that cannot be read at present.
    """
    source = folder(uri)
    return {network.name: _read(source, network.file, network.sha256) for network in model.networks}


def _read(source: Folder, name: str, sha256: str) -> dict[str, Tensor]:
    again = "copy or export the model again"
    try:
        content = source.read(name, _EXPANSION)
    except FileNotFoundError as error:
        raise InputError(f"{name} of the model {source.uri} is missing: {again}.") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(
            f"{name} of the model {source.uri} does not match its checksum in {DESCRIPTION}: it "
            f"was changed or is damaged; {again}."
        )
    try:
        return load(content)
    except SafetensorError as error:
        raise InputError(
            f"{name} of the model {source.uri} cannot be read ({error}): {again}."
        ) from error
