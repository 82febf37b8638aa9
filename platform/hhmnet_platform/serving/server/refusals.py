"""Requests that get no prediction: an HTTP status and one line that says why."""

import re

from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.passwords import one_line

MALFORMED, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, WRONG_METHOD = 400, 401, 403, 404, 405
TOO_LARGE, UNKNOWN_KIND, UNUSABLE, UNAVAILABLE = 413, 415, 422, 503
# Options of `hhmnet predict` that messages of the readers advise, and parameters of a request.
_ADVICE = re.compile(r"--(axes|fps|layout|missing|stride|window)(?: (?=\w+\b(?<!and)))?")


class RefusalError(Exception):
    """A request that is refused. Replicas return it as a value, without a traceback.

    Attributes:
        status: HTTP status.
        message: One line: what was given, what was expected, what to do.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status, self.message = status, message

    @classmethod
    def of(cls, error: InputError) -> "RefusalError":
        """Return the refusal for content that cannot be used, or cannot be read at present."""
        status = UNAVAILABLE if isinstance(error, AccessError) else UNUSABLE
        return cls(status, _as_parameters(one_line(error)))


def busy(what: str) -> RefusalError:
    """Return the refusal of a request that the server has no room for at present."""
    return RefusalError(UNAVAILABLE, f"The server is busy ({what}): try again in some seconds.")


def out_of_time(seconds: float) -> RefusalError:
    """Return the refusal of a request that takes too long."""
    return RefusalError(
        UNAVAILABLE,
        f"The request took more than {seconds:g} s, the limit of this server: send a shorter "
        "recording, or start the server with a larger --max_seconds.",
    )


def _as_parameters(message: str) -> str:
    """Return a message with the parameters of a request in the place of options."""
    return _ADVICE.sub(lambda match: f"?{match[1]}=", message)
