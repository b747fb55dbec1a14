"""How many trials were played, and on how many tasks: splits of few tasks have several trials of each."""


def trials_phrase(trials: int, tasks: int, split: str) -> str:
    """Says what was played on, where each trial has a task of its own and where it has not.

    >>> trials_phrase(64, 64, "heldout"), trials_phrase(64, 1, "heldout")
    ('on 64 held-out tasks', 'in 64 trials of 1 held-out task')
    """
    met = counted(tasks, f"{split.replace('heldout', 'held-out')} task")
    return f"on {met}" if unit_of(trials, tasks) == "task" else f"in {trials} trials of {met}"


def unit_of(trials: int, tasks: int) -> str:
    """Returns what so many trials are averaged over: "task" where each has its own, else "trial"."""
    return "task" if tasks == trials else "trial"


def counted(number: int, noun: str) -> str:
    """Writes a number of things.

    >>> counted(1, "task"), counted(2, "task")
    ('1 task', '2 tasks')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"
