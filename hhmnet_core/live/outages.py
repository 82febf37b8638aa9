"""What is told of a source: once that it sends nothing, and once that it sends images again."""

STALL_SECONDS = 5.0


class Outages:
    """Watches whether images come.

    Args:
        now: Seconds of the monotonic clock.
    """

    def __init__(self, now: float) -> None:
        self._last, self._is_told = now, False

    def lost(self, reason: str) -> str | None:
        """Return the line for a source that is lost, None where its outage has been told."""
        return self._tell(f"The source is lost: {reason}. It is opened again as soon as it can be.")

    def image(self, now: float) -> str | None:
        """Note an image, and return the line where it ends an outage that was told."""
        seconds, self._last = now - self._last, now
        was_told, self._is_told = self._is_told, False
        return f"The source sends images again, after {seconds:.1f} s." if was_told else None

    def check(self, now: float) -> str | None:
        """Return the line for a source that has sent no image for too long, None where it has."""
        if now - self._last < STALL_SECONDS:
            return None
        return self._tell(f"The source has sent no image for {STALL_SECONDS:.0f} s.")

    def _tell(self, line: str) -> str | None:
        was_told, self._is_told = self._is_told, True
        return None if was_told else line
