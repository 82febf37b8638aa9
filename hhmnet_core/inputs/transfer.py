"""Tensors from the host to the device that trains, all in one copy."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

Values = TypeVar("Values")
_ALIGNMENT = 16  # bytes; a view as another data type starts at a multiple of its size


def to_device(values: Values, device: torch.device) -> Values:
    """Return a dataclass with its tensors, and those of dataclasses and tuples in it, on a device.

    They go over together, from page-locked memory, without waiting for the device. On the CPU they
    are the given ones.
    """
    return values if device.type == "cpu" else copied(values, device, page_locked=True)


def copied(values: Values, device: torch.device, page_locked: bool) -> Values:
    """Return values as `to_device` does, through memory that is page-locked or not."""
    tensors = list(tensors_of(values))
    starts = [0]
    for tensor in tensors:
        size = tensor.numel() * tensor.element_size()
        starts.append(starts[-1] + -(-size // _ALIGNMENT) * _ALIGNMENT)
    packed = torch.empty(starts[-1], dtype=torch.uint8, pin_memory=page_locked)
    for start, tensor in zip(starts, tensors, strict=False):
        _view(packed, start, tensor).copy_(tensor)
    on_device = packed.to(device, non_blocking=True)
    moved = (_view(on_device, start, each) for start, each in zip(starts, tensors, strict=False))
    found: Values = with_tensors(values, moved)
    return found


def _view(packed: Tensor, start: int, like: Tensor) -> Tensor:
    part = packed[start : start + like.numel() * like.element_size()]
    return part.view(like.dtype).view(like.shape)


def tensors_of(values: Any) -> Iterator[Tensor]:
    """Yield the tensors of a dataclass or tuple, those of dataclasses and tuples in it included."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, tuple):
        for value in values:
            yield from tensors_of(value)
    elif is_dataclass(values):
        for each in fields(values):
            yield from tensors_of(getattr(values, each.name))


def with_tensors(values: Any, tensors: Iterator[Tensor]) -> Any:
    """Return values with other tensors, in the order of `tensors_of`."""
    if isinstance(values, Tensor):
        return next(tensors)
    if isinstance(values, tuple):
        return tuple(with_tensors(value, tensors) for value in values)
    if is_dataclass(values) and not isinstance(values, type):
        return replace(
            values,
            **{e.name: with_tensors(getattr(values, e.name), tensors) for e in fields(values)},
        )
    return values
