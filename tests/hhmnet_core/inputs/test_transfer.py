"""Values that go to a device in one copy arrive as they were."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hhmnet_core.inputs.transfer import copied, to_device

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Inner:
    counts: Tensor
    name: str
    missing: Tensor | None = None


@dataclass(frozen=True)
class Outer:
    flags: Tensor
    parts: tuple[Inner, ...]
    exact: Tensor
    nothing: Tensor
    scalar: Tensor


def make_values() -> Outer:
    torch.manual_seed(1)
    return Outer(
        torch.tensor([True, False, True]),
        (
            Inner(torch.arange(5), "a"),
            Inner(torch.randn(2, 3), "b", torch.ones(1, dtype=torch.uint8)),
        ),
        torch.randn(3, 2, dtype=torch.float64).T,
        torch.zeros(0, 4),
        torch.tensor(7),
    )


def test_copied_values_equal_the_given_ones_and_share_no_memory() -> None:
    values = make_values()
    found = copied(values, CPU, page_locked=False)
    for name in ("flags", "exact", "nothing", "scalar"):
        mine, theirs = getattr(values, name), getattr(found, name)
        assert torch.equal(mine, theirs) and mine.dtype == theirs.dtype
        assert mine.shape == theirs.shape
    for mine, theirs in zip(values.parts, found.parts, strict=True):
        assert torch.equal(mine.counts, theirs.counts) and mine.name == theirs.name
    assert found.parts[0].missing is None and torch.equal(found.parts[1].missing, torch.ones(1))
    values.flags[:] = False
    assert found.flags.tolist() == [True, False, True]


def test_on_the_cpu_values_are_the_given_ones() -> None:
    values = make_values()
    assert to_device(values, CPU) is values
