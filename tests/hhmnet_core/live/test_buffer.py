"""The newest image is handed on, the others are counted."""

import threading
import time

import numpy as np
import pytest

from hhmnet_core.live.buffer import Arrived, NewestImage


def image(number: int) -> Arrived:
    return Arrived(lambda: np.full((1, 1, 3), number, np.uint8), number - 0.25, float(number))


@pytest.mark.parametrize("every", [1, 2, 5])
def test_of_n_images_taken_every_k_all_but_the_newest_are_dropped(every: int) -> None:
    images, taken = NewestImage(), []
    for number in range(1, 101):
        images.put(image(number))
        if number % every == 0:
            found = images.take(0)
            assert found is not None and images.take(0) is None
            taken.append(int(found.decode()[0, 0, 0]))
    assert taken == list(range(every, 101, every))
    assert (images.seen, images.dropped) == (100, 100 - len(taken))


def test_an_image_that_is_waited_for_comes_at_once() -> None:
    images = NewestImage()
    threading.Timer(0.05, images.put, [image(7)]).start()
    begin = time.monotonic()
    found = images.take(10)
    assert found is not None and found.lag == 0.25
    assert time.monotonic() - begin < 5


def test_waiting_ends() -> None:
    assert NewestImage().take(0.01) is None


def test_putting_never_waits_and_no_image_is_lost_from_the_count() -> None:
    images, taken = NewestImage(), 0
    writers = [
        threading.Thread(target=lambda: [images.put(image(n % 200)) for n in range(2000)])
        for _ in range(2)
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        taken += images.take(0.001) is not None
    taken += images.take(0) is not None
    assert images.seen == 4000 == taken + images.dropped
