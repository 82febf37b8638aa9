"""How Ray finds its token."""

from ray._private.authentication.authentication_utils import is_token_auth_enabled
from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]

__all__ = ["forget_token", "has_token", "is_token_auth_enabled"]


def forget_token() -> None:
    """Make Ray, which keeps the token that it read, look for it again."""
    AuthenticationTokenLoader.instance().reset_cache()


def has_token() -> bool:
    """Return whether Ray finds a token, in the environment or in its file."""
    return bool(AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True))
