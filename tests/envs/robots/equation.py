"""Reads the equations that `reward` docstrings hold, and evaluates them over named quantities."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

UNITS = {"m": 1.0, "cm": 0.01, "rad": 1.0}
FUNCTIONS: Mapping[str, Any] = {
    **{name: getattr(np, name) for name in ("sum", "mean", "abs", "exp", "cos", "sin", "clip")},
    "min": np.minimum,
}
NUMBER = r"(?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?"


class Equation(NamedTuple):
    """What a family pays, as it is printed; of several clauses, those of other variants and of prose aside."""

    text: str

    def expression(self) -> str:
        """Returns it in Python's words: `|x|` is abs(x), `x^2` x**2, and a number may have a unit."""
        text = re.sub(rf"({NUMBER}) \(0 where it falls\)", r"(\1 * upright)", self.text)
        text = re.sub(rf"({NUMBER}) ({'|'.join(UNITS)})\b", lambda found: f"({found[1]} * {UNITS[found[2]]})", text)
        return re.sub(r"\|([^|]+)\|", r"abs(\1)", text).replace("^", "**")

    def value(self, quantities: Mapping[str, Any]) -> float:
        """Returns what it comes to for one robot."""
        return float(eval(self.expression(), {"__builtins__": {}}, {**FUNCTIONS, **quantities}))

    def numbers(self) -> list["re.Match[str]"]:
        """Returns the weights, bounds and exponents in it, one by one; a 0 for what else would be paid is none."""
        return [found for found in re.finditer(NUMBER, self.text) if float(found[0])]

    def altered(self, number: "re.Match[str]") -> "Equation":
        """Returns it with this number a tenth larger; an exponent becomes that of the next even power."""
        before, after = self.text[: number.start()], self.text[number.end() :]
        other = float(number[0]) + 2 if before.endswith("^") else 1.1 * float(number[0])
        return Equation(f"{before}{other!r}{after}")


def equation_of(docstring: str, variant: str) -> Equation:
    """Returns a variant's clause, or else the first: 'v_x; variant "dense": 2 * v_x; v_x is prose about a name'."""
    clauses = [clause.strip() for clause in " ".join(docstring.split()).split(";")]
    named = dict(re.findall(r'^variant "(\w+)": (.*)$', "\n".join(clauses), flags=re.MULTILINE))
    return Equation(named.get(variant, clauses[0]))
