"""Memory that data may take on a device."""

import pytest
import torch

from hhmnet_core.inputs import memory
from hhmnet_core.inputs.memory import fits_in_memory, free_memory

CPU = torch.device("cpu")


def test_free_memory_of_the_host_is_plausible() -> None:
    assert 1 << 20 < free_memory(CPU) < 1 << 50


@pytest.mark.parametrize(
    ("size", "sharers", "fits"), [(250, 1, True), (251, 1, False), (125, 2, True), (126, 2, False)]
)
def test_sharers_take_at_most_a_quarter_of_the_free_memory(
    monkeypatch: pytest.MonkeyPatch, size: int, sharers: int, fits: bool
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: 1000)
    assert fits_in_memory(size, CPU, sharers) == fits
