"""What a user is told instead of a traceback."""


class UserError(Exception):
    """The user's choice is wrong: the message names the key, the value and the way out. Exit code 2."""


class FailedError(Exception):
    """The choice was right, and the result is not there: the message says why, and what may help. Exit code 1."""
