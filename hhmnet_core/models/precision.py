"""Precision of the arithmetic of networks."""

from contextlib import AbstractContextManager, nullcontext

import torch


def arithmetic(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which products are computed in a config's precision.

    In bfloat16 that is torch's automatic mixed precision: norms and softmax stay in float32.
    """
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Return a context without automatic mixed precision."""
    if torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()  # nothing for exporters to see


def set_float32_products(precision: str, device: torch.device) -> None:
    """Set whether a GPU rounds products of float32 to TF32; torch does so in convolutions."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
