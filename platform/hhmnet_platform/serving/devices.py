"""The device of a model's networks."""

import torch

from hhmnet_core.errors import InputError


def choose_device(name: str) -> torch.device:
    """Return a device: auto (a GPU where there is one), cpu or cuda.

    Raises:
        InputError: CUDA where there is none.
    """
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise InputError("--device cuda, but PyTorch finds no GPU here: give cpu or auto.")
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")
