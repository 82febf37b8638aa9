"""The exceptions that a user's input or files can cause."""

_LONGEST, _END = 1000, 300  # characters of a message, and of its end, with what to do


class InputError(Exception):
    """Input that cannot be used.

    The message is one line: what was given, what was expected, what to do. Scripts print it and
    exit with a non-zero code. Any other exception is a bug of this project and keeps its traceback.
    Passwords in its URIs are left out.
    """

    def __init__(self, message: str) -> None:
        # Here, so that scripts can name this class before anything that takes time is imported.
        from hhmnet_core.passwords import without_password

        text = without_password(message)
        if len(text) > _LONGEST:  # a value or a file that the message quotes
            text = f"{text[: _LONGEST - _END]}...{text[-_END:]}"
        super().__init__(text)


class AccessError(InputError):
    """A file or folder that cannot be read or written at present.

    Nothing follows from it for the content, which may be whole: no code may take such a file for
    damaged or missing, leave it out, or make it anew.
    """
