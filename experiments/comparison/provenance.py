"""What a stored training was made with, so that none is mixed in that was made otherwise."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from limbshift.envs.errors import InputError
from limbshift.envs.schema import Checked, Name, shortened
from limbshift.experiments.comparison.methods import METHODS
from limbshift.experiments.machine import checkout, cpu_model, versions

OURS = ("limbshift", "mujoco", "torch", "gymnasium", "numpy")
"""Packages that every training of a comparison is made with."""
OF_BASELINES = ("stable-baselines3", "sb3-contrib")
WITHOUT = "without provenance"
installed = cache(versions)


@dataclass(frozen=True)
class Provenance(Checked):
    """What a training was made with."""

    commit: Name | None
    """Of the checkout whose code trained; None for an installed package."""
    dirty: bool | None
    """Whether its code differed from that commit's."""
    settings: dict[str, Any]
    """All that was chosen, with what the family and the package left to be chosen."""
    settings_hash: Name
    versions: dict[str, str]
    """By package."""
    processor: Name


def provenance_of(settings: Mapping[str, Any]) -> Provenance:
    """Returns that of a training by this code on this machine."""
    commit, dirty = checkout() or (None, None)
    plain = as_in_json(settings)
    return Provenance(commit, dirty, plain, hash_of(plain), installed(), cpu_model())


def as_in_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns settings as they are read again from a file."""
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain


def hash_of(settings: Mapping[str, Any]) -> str:
    """Returns a few letters that tell settings from others.

    >>> hash_of({"seed": 0, "steps": (1, 2)}) == hash_of({"steps": [1, 2], "seed": 0}) != hash_of({"seed": 1})
    True
    """
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def check_like(found: Provenance | None, settings: Mapping[str, Any], path: Path) -> None:
    """Raises InputError for a training with other settings, or versions, than it would be made with here and now.

    One without provenance, of an earlier version of limbshift, is taken for what its directory says; one that does not
    tell by which clock was timed by the one on the wall.
    """
    if found is None:
        return
    expected = as_in_json(settings)
    differing = (
        []
        if found.settings_hash == hash_of(expected)
        else told_apart({"clock": "wall" if expected["minutes"] else None, **found.settings}, expected)
    )
    needed = OF_BASELINES if METHODS[expected["method"]].needs else ()
    here = {
        name: version for name, version in installed().items() if name in found.versions and name in (*OURS, *needed)
    }
    differing += told_apart({name: found.versions[name] for name in here}, here)
    if differing:
        name, was, now = differing[0]
        remedy = "remove it to have it trained anew, or choose another directory"
        raise InputError(
            f"{path} was trained with {name} {shortened(was)}, expected {shortened(now)} as here: {remedy}"
        )


def told_apart(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Returns name, found and expected of all that differs."""
    names = sorted({*found, *expected})
    return [(name, found.get(name), expected.get(name)) for name in names if found.get(name) != expected.get(name)]


def code_of(provenances: Sequence[Provenance | None]) -> str:
    """Writes which commits trained, and how many trainings each.

    >>> code_of([None, None])
    '2 trainings without provenance'
    """
    return ", ".join(
        f"{count} training{'s' * (count > 1)} {code}" for code, count in Counter(map(_code, provenances)).items()
    )


def _code(found: Provenance | None) -> str:
    if found is None:
        return WITHOUT
    if found.commit is None:
        return f"by limbshift {found.versions.get('limbshift', '')}, installed"
    return f"by commit {found.commit[:10]}{' with changes' if found.dirty else ''}"
