"""Random numbers depend on their key and their row of the batch, not on the process."""

import torch

from hhmnet_core.randomness import BatchRandom, keyed_generator


def test_a_key_gives_the_same_numbers_anywhere() -> None:
    # Written down: a change here would change every result that was ever published.
    drawn = torch.randint(0, 1000, (5,), generator=keyed_generator(1, 2, "order"))
    assert drawn.tolist() == [971, 565, 264, 93, 87]


def test_other_keys_give_other_numbers() -> None:
    first = torch.rand(8, generator=keyed_generator(1, 2))
    assert not torch.equal(first, torch.rand(8, generator=keyed_generator(2, 1)))
    assert not torch.equal(first, torch.rand(8, generator=keyed_generator(12)))


def test_shares_of_a_batch_join_to_the_whole() -> None:
    def draw(start: int, stop: int) -> torch.Tensor:
        random = BatchRandom(3, "x", total=10, start=start, stop=stop)
        return torch.cat([random.uniform(2, low=-1), random.normal(2)], 1)

    whole = draw(0, 10)
    assert torch.equal(torch.cat([draw(0, 3), draw(3, 3), draw(3, 10)]), whole)
    assert whole[:, :2].min() < 0 <= whole[:, :2].max() < 1
