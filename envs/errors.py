"""What the caller got wrong."""


class InputError(ValueError):
    """A value that cannot be used; its one line names the value and what was expected."""
