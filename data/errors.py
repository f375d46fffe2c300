"""The one exception that means "the user's input is wrong": launch prints it as one sentence and exits with 2."""


class UserError(Exception):
    """Names the key, the value and the way out."""
