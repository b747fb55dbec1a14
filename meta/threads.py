"""How many threads PyTorch computes with, for a while."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Runs the block with this many of PyTorch's threads, and restores their number however the block ends.

    >>> before = torch.get_num_threads()
    >>> with torch_threads(1):
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def threads_for(steps: int | None) -> AbstractContextManager[None]:
    """Keeps PyTorch to one thread where the budget is of env steps: several add up in another order, and what is
    trained then depends on how many cores there are.
    """
    return nullcontext() if steps is None else torch_threads(1)
