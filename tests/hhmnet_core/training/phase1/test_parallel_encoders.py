"""Encoders in parallel: results in order, threads that share the cores, exceptions."""

import threading
from collections.abc import Iterator

import pytest
import torch

from hhmnet_core.training.phase1.parallel_encoders import ParallelEncoders

CPU = torch.device("cpu")


@pytest.fixture
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("four_threads")
def test_each_has_a_thread_and_its_share_of_the_cores() -> None:
    meeting = threading.Barrier(2, timeout=10)  # passed only if both are there at once

    def meet(item: int) -> tuple[int, int, str]:
        meeting.wait()
        return item, torch.get_num_threads(), threading.current_thread().name

    found = ParallelEncoders(2, CPU).map(meet, [1, 2])
    assert [item for item, _, _ in found] == [1, 2]
    assert [threads for _, threads, _ in found] == [2, 2]
    assert len({name for _, _, name in found}) == 2


@pytest.mark.parametrize(("encoders", "device"), [(1, "cpu"), (4, "cuda")])
@pytest.mark.usefixtures("four_threads")
def test_one_alone_and_those_on_a_gpu_stay_on_this_thread(encoders: int, device: str) -> None:
    names = ParallelEncoders(encoders, torch.device(device)).map(
        lambda _: threading.current_thread().name, range(encoders)
    )
    assert set(names) == {threading.current_thread().name}


@pytest.mark.usefixtures("four_threads")
def test_an_error_of_one_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        ParallelEncoders(2, CPU).map(lambda x: 1 // x, [1, 0])
