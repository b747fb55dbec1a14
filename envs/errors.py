"""What the caller got wrong, and what went wrong for the caller."""


class InputError(ValueError):
    """A value that cannot be used; its one line names the value and what was expected.

    What would break the line, in a file's name for one, is shown as Python writes it.

    >>> print(InputError("robot two\\nlines.xml does not exist"))
    robot two\\nlines.xml does not exist
    """

    def __init__(self, message: str = "") -> None:
        shown = (char if char.isprintable() else char.encode("unicode_escape").decode() for char in message)
        super().__init__("".join(shown))


class ArgumentError(InputError, TypeError):
    """An argument that does not exist: to Python a TypeError, by whose words other libraries know it."""


class FamilyError(InputError):
    """A task family or a variant that does not exist."""


class ControllerError(InputError):
    """A file that holds no controller, or a controller used for what it was not trained for."""


class ActionError(InputError):
    """Actions of the wrong shape, or that are not numbers."""


class RunFailure(RuntimeError):
    """Something that failed through no fault in the caller's values; its one line says what."""


class SimulationError(RunFailure):
    """The simulator's own error: not a robot that diverged, but an engine that could not go on."""


class CapacityError(RunFailure):
    """More contacts or constraints than a simulator on a GPU has room for: what it computed is wrong."""


class RewardError(RunFailure):
    """A reward that is no finite number: nothing can be learnt from it."""


class RenderingError(RunFailure):
    """No frames on this machine: it lacks a working OpenGL library."""
