"""Encoders standardised by what they are shown."""

from torch import Tensor

from hhmnet_core.models.encoder import Encoder, Moments


def moments_of(x_rtvc: Tensor) -> Moments:
    """Return the moments of bodies (R, T, V, C) by joint and channel."""
    return Moments(x_rtvc.mean((0, 1)), x_rtvc.var((0, 1), correction=0))


def standardise(encoder: Encoder, x_rtvc: Tensor, are_positions: bool = True) -> None:
    """Standardise an encoder by the moments of bodies (R, T, V, C)."""
    seen = encoder.seen(x_rtvc, are_positions)
    encoder.standardise({name: moments_of(each) for name, each in seen.items()})
