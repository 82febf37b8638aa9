"""The times of a source's images, on one clock.

An image has two times. Its time of presentation comes from the camera and lies on an even grid, but
starts anywhere, jumps where a sender starts again, and is made up by some formats (MJPEG over HTTP
claims 25 images a second, whatever the camera sends). Its time of arrival is always true on
average, but late by what network, decoder and this process took. Motion is the difference of two
images, so the grid is worth having.

Presented times are therefore used as long as they keep step with arrivals: they are shifted to the
monotonic clock by the promptest image (the smallest difference of the two), which may creep by 1 %
to follow clocks of other speed. Where presented times fall behind arrivals by more than half a
second they start over, and where that happens three times in a minute arrivals take their place.
"""

from collections import deque

MAX_LATE = 0.5  # seconds
CREEP = 0.01  # seconds a second
MAX_RESTARTS, RESTARTS_WITHIN = 3, 60.0  # seconds
_STEP = 1e-4  # seconds from an image to the next one at least


class ImageClock:
    """Gives the images of one connection their times, which rise and never exceed their arrival."""

    def __init__(self) -> None:
        self._shift: float | None = None
        self._arrival = self._time = float("-inf")
        self._restarts: deque[float] = deque(maxlen=MAX_RESTARTS)
        self._is_trusted = True

    def time(self, presented: float | None, arrival: float) -> float:
        """Return the time of the next image on the monotonic clock.

        Args:
            presented: Seconds of its presentation, from any start. None: unknown.
            arrival: Seconds of its arrival on the monotonic clock, not before the last image's.
        """
        time = arrival
        if presented is not None and self._is_trusted:
            time = presented + self._shifted(arrival - presented, arrival)
        self._arrival = arrival
        self._time = max(time, min(self._time + _STEP, arrival))
        return self._time

    def _shifted(self, shift: float, arrival: float) -> float:
        """Return the shift from presented times to the monotonic clock, given the image's own."""
        if self._shift is None:
            self._shift = shift
        elif shift > self._shift + MAX_LATE:
            self._shift = shift
            self._restarts.append(arrival)
            has_many = len(self._restarts) == MAX_RESTARTS
            self._is_trusted = not has_many or arrival - self._restarts[0] > RESTARTS_WITHIN
        else:
            self._shift = min(shift, self._shift + CREEP * (arrival - self._arrival))
        return self._shift
