"""Takes the user's own task family, and methods, to machines that lack their files."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from limbshift.envs.errors import InputError

Files = Mapping[str, bytes]
"""Contents by path below a folder."""


def flat_reference(reference: str) -> str:
    """Returns a reference to code of the user's, `FILE.py:NAME` or `module:NAME`, as it is in the folder of its files.

    >>> flat_reference("robots/mine.py:Mine"), flat_reference("robots.mine:Mine")
    ('mine.py:Mine', 'robots.mine:Mine')
    """
    return Path(reference).name


def merged(files: Iterable[Files]) -> Files:
    """Returns all these files in one folder; InputError where two of one name differ."""
    together: dict[str, bytes] = {}
    for each in files:
        for name, content in each.items():
            if together.setdefault(name, content) != content:
                raise InputError(f"two files of your own are called {name}, expected each to have its own name")
    return together


@contextmanager
def in_folder(files: Files) -> Iterator[None]:
    """Makes a folder of these files the working directory for a while."""
    with TemporaryDirectory(prefix="limbshift-") as folder, chdir(folder):
        for name, content in files.items():
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        yield
