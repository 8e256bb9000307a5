"""What keeps a command from being done."""


class OperatorError(Exception):
    """Something can't be done. The message is a sentence for the operator, and all that is told of it."""

    exit_code = 1
