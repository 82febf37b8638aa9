"""The one exception a user can cause."""


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one line: what was given, what was expected, what to do. Scripts print it and
    end with a non-zero code; every other exception is a bug of ours and keeps its traceback.
    """
