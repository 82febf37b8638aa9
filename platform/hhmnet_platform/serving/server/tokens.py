"""The token that requests carry: where it comes from, and its comparison."""

import hmac
import ipaddress
import os
import secrets
from dataclasses import dataclass

from hhmnet_core.checks.memory import TEXT_EXPANSION
from hhmnet_core.errors import InputError
from hhmnet_core.files import split_uri

VARIABLE = "HHMNET_SERVE_TOKEN"
SHORTEST = 16  # characters
_SCHEME = "bearer"


@dataclass(frozen=True)
class Token:
    """The token of a server.

    Attributes:
        value: Token that requests carry.
        is_made: Whether it was made for this start, and has to be shown to the user.
    """

    value: str
    is_made: bool = False

    def opens(self, authorization: str) -> bool:
        """Return whether an Authorization header carries the token, in constant time."""
        scheme, _, given = authorization.partition(" ")
        is_equal = hmac.compare_digest(given.strip().encode(), self.value.encode())
        return is_equal and scheme.lower() == _SCHEME


def choose_token(host: str, file: str) -> Token | None:
    """Return the token of a server on a host, None for loopback where none is given.

    The environment variable is removed: processes that are started here do not inherit it.

    Raises:
        InputError: A token that is missing, short, or not of printable characters.
    """
    in_environment = os.environ.pop(VARIABLE, None)
    if file:
        return Token(_checked(_read(file), file))
    if in_environment is not None:
        return Token(_checked(in_environment.strip(), VARIABLE))
    return None if is_loopback(host) else Token(secrets.token_urlsafe(32), is_made=True)


def is_loopback(host: str) -> bool:
    """Return whether only processes of this machine reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _read(file: str) -> str:
    folder, name = split_uri(file)
    try:
        lines = folder.read(name, TEXT_EXPANSION).decode().splitlines()
    except FileNotFoundError as error:
        raise InputError(f"There is no token file {file}: expected a file of one line.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"The token file {file} is not text: expected one line.") from error
    return lines[0].strip() if lines else ""


def _checked(token: str, where: str) -> str:
    """Return a token that a header can carry. The message does not show it."""
    if len(token) < SHORTEST or not (token.isascii() and token.isprintable()) or " " in token:
        raise InputError(
            f"The token in {where} has {len(token)} characters: expected {SHORTEST} or more "
            "letters, digits and signs without blanks, such as those of `openssl rand -hex 32`."
        )
    return token
