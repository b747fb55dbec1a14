"""What can be wrong with a controller."""

from limbshift.envs.errors import InputError


class ControllerError(InputError):
    """A file that holds no controller, or a controller used for what it was not trained for."""
