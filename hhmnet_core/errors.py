"""The only exception that input of a user can cause."""


class InputError(ValueError):
    """Input that cannot be used.

    The message is one line: what was given, what was expected, what to do. Scripts print it and
    exit with a non-zero code. Any other exception is a bug of this project and keeps its traceback.
    """
