"""Bounds on what an MJCF file may ask for: MuJoCo would take all memory, or for ever, before it says no."""

import math
import re
from collections.abc import Mapping
from xml.etree import ElementTree

import mujoco

from limbshift.envs.errors import InputError

MAX_BYTES = 2**31
"""Of a model and of one simulation of it."""
MAX_COPIES = 100_000
"""Of what stands in nested `replicate` elements."""
_TEXT = ("name", "class", "childclass", "file", "model", "comment", "text", "data")
"""Attributes that hold no numbers."""
_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_WITH_USER_DATA = ("body", "jnt", "geom", "site", "cam", "tendon", "actuator", "sensor")
_LARGEST: Mapping[tuple[str, tuple[str, ...]], int] = {
    ("hfield", ("nrow", "ncol")): 10**7,
    ("texture", ("width", "height")): 10**8,
    ("composite", ("count",)): 10**6,
    ("flexcomp", ("count",)): 10**6,
    ("user", ("dim",)): 10**6,
    ("size", ("nuserdata",)): 10**6,
    ("size", ("njmax",)): 10**6,
    ("size", ("nconmax",)): 10**6,
    ("size", ("nstack",)): 10**8,
    ("size", ("nkey",)): 10**5,
} | {("size", (f"nuser_{kind}",)): 10**4 for kind in _WITH_USER_DATA}
"""By element and attributes: the largest product of the numbers in them."""


class SizeError(InputError):
    """A model that is too large to be compiled, or whose numbers are none; the error goes on from the robot's name."""


def check_written_sizes(element: ElementTree.Element, copies: float = 1.0) -> None:
    """Raises SizeError where an element of an MJCF file, into which all files are written, asks for too much.

    copies: how often the elements around it repeat it.

    >>> check_written_sizes(ElementTree.fromstring('<mujoco><size nuserdata="2000000000"/></mujoco>'))
    Traceback (most recent call last):
        ...
    limbshift.envs.mjcf.size_limits.SizeError: is too large: nuserdata of size is 2000000000, expected at most 1000000
    """
    _check_numbers(element)
    for (tag, attributes), largest in _LARGEST.items():
        if element.tag == tag:
            numbers = [number for name in attributes for number in _numbers(element.get(name, ""))]
            if numbers and math.prod(numbers) > largest:
                value = " x ".join(f"{number:.0f}" for number in numbers)
                raise SizeError(
                    f"is too large: {' x '.join(attributes)} of {tag} is {value}, expected at most {largest}"
                )
    if element.tag == "size" and _bytes(memory := element.get("memory", "")) > MAX_BYTES:
        raise SizeError(f"is too large: memory of size is {memory}, expected at most {MAX_BYTES // 2**30}G")
    if element.tag == "replicate":
        copies *= max(1.0, math.prod(_numbers(element.get("count", "1"))))
        if copies > MAX_COPIES:
            raise SizeError(
                f"is too large: count of replicate makes {copies:.0f} copies, expected at most {MAX_COPIES}"
            )
    for child in element:
        check_written_sizes(child, copies)


def _check_numbers(element: ElementTree.Element) -> None:
    """Raises SizeError for numbers that are none or infinite, with which MuJoCo may compute for ever."""
    for name, value in element.items():
        for word in value.lower().split() if name not in _TEXT else ():
            number = word.lstrip("+-")
            if number == "nan" or (number in ("inf", "infinity") and not name.endswith("range")):
                raise SizeError(f"has {word} in {name} of {element.tag}, expected a finite number")


def _numbers(text: str) -> list[float]:
    """Returns the numbers in an attribute; none where one of them is not a number, of which MuJoCo tells."""
    try:
        return [float(word) for word in text.split()]
    except ValueError:
        return []


def _bytes(text: str) -> float:
    """Returns a size as MuJoCo writes it, such as 10M, in bytes."""
    found = re.fullmatch(r"\s*(\d+)\s*([KMGTPE]?)\s*", text.upper())
    return float(found[1]) * 1024.0 ** _UNITS[found[2]] if found else 0.0


def check_compiled_size(model: mujoco.MjModel) -> None:
    """Raises SizeError where a model or the state of one simulation takes too much memory.

    Room to compute in does not count: what is not used of it is not taken.
    """
    size = max(mujoco.mj_sizeModel(model), model.nbuffer)
    if size > MAX_BYTES:
        raise SizeError(
            f"is too large: the model takes {size / 2**30:.1f} GiB, expected at most {MAX_BYTES / 2**30:.0f}"
        )
