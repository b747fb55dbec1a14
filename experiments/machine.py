"""What a measurement was made on."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from limbshift.envs.physics.cores import available_cores

PACKAGES = (
    "limbshift",
    "mujoco",
    "mujoco-warp",
    "torch",
    "gymnasium",
    "numpy",
    "envpool",
    "stable-baselines3",
    "sb3-contrib",
)
"""Whose versions are told, where they are installed."""
CODE = ("envs", "agents", "meta", "experiments", "pyproject.toml", "constraints.txt")
"""What of a checkout makes a training what it is."""


def machine() -> dict[str, Any]:
    """Returns processor, cores that this process may use, their load before it, and versions.

    >>> sorted(machine())
    ['cores', 'load', 'processor', 'python', 'system', 'versions']
    """
    return {
        "processor": cpu_model(),
        "cores": len(available_cores()),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Returns the versions of the packages that are installed, by name."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def checkout() -> tuple[str, bool] | None:
    """Returns the commit that this code is checked out at, and whether it was changed; None where it is installed."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    git = ["git", "--no-optional-locks", "-C", str(root)]
    try:
        commit = _said([*git, "rev-parse", "HEAD"])
        changed = _said([*git, "status", "--porcelain", "--untracked-files=no", "--", *CODE])
    except (OSError, subprocess.SubprocessError):  # no git, or not one's own checkout
        return None
    return commit, bool(changed)


def _said(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def cpu_model() -> str:
    """Returns the name that Linux has for the processor, with family and model, since a rented machine's name may hide
    which of several it is; elsewhere its architecture.
    """
    info = Path("/proc/cpuinfo")
    return model_in(info.read_text() if info.is_file() else "") or platform.machine()


def may_be(found: str, here: str) -> bool:
    """Returns whether a processor that a file names may be this one: older files tell no model, or no family either.

    >>> here = "AMD EPYC (family 25, model 17)"
    >>> [may_be(name, here) for name in (here, "AMD EPYC", "AMD EPYC (family 25)", "AMD EPYC (family 25, model 1)")]
    [True, True, True, False]
    """
    told = found.removesuffix(")")
    return found == here or here.startswith((f"{told} (", f"{told}, "))


def model_in(cpuinfo: str) -> str:
    r"""Returns what Linux says of the first processor; empty where it gives no name, as for ARM.

    >>> model_in("cpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n")
    'AMD EPYC (family 25, model 17)'
    """
    first = cpuinfo.split("\n\n", 1)[0].splitlines()
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first)}
    if "model name" not in told:
        return ""
    numbers = [f"{word} {told[name]}" for word, name in (("family", "cpu family"), ("model", "model")) if name in told]
    return told["model name"] + (f" ({', '.join(numbers)})" if numbers else "")
