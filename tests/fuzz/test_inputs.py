"""All that reads files and words of others takes them, or says in one line why not: for whatever hypothesis makes."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, refused, wholes

WHOLES = wholes()
JSON_TARGETS = ("config", "preset", "result", "task")
NUMBERS = st.integers() | st.floats() | st.sampled_from([0, -1, 2**31, 10**30, 1e308, -0.0, 0.5])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
quick = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

FOUND = [
    ("task", b"1"),
    ("task", b"null"),
    ("task", b"[[]]"),
    ("task", b'{"action_delay": "a"}'),
    ("task", b'{"action_delay": NaN}'),
    ("config", b"[" * 1_000_000),
    ("config", b"\xff"),
    ("preset", b'{"format": "limbshift-preset-1", "settings": {"cell": "--run-dir=a"}}'),
    ("preset", b'{"format": ["limbshift-preset-1"], "settings": {}}'),
    ("command", b"train --family ''"),
    ("robot", b"PK\x05\x06" + 18 * b"\x00"),
    (
        "robot",  # a name that says it is UTF-8, and is not
        b"PK\x01\x02\x14\x03\xff\xff\xff\x1f" + bytes(4) + b"\x21" + bytes(13) + b"\x01" + bytes(17) + b"\x8b"
        b"PK\x05\x06" + bytes(4) + b"\x01\x00\x01\x00\x2f" + bytes(9),
    ),
]
"""Inputs that once ended in a traceback, and others of their kind."""


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_whole_is_taken(name: str) -> None:
    assert not refused(TARGETS[name], WHOLES[name])


@pytest.mark.parametrize(("name", "data"), FOUND)
def test_what_was_found_stays_mended(name: str, data: bytes) -> None:
    refused(TARGETS[name], data)


@pytest.mark.parametrize("name", TARGETS)
@quick
@given(data=st.binary(max_size=200))
def test_any_bytes(name: str, data: bytes) -> None:
    refused(TARGETS[name], data)


@pytest.mark.parametrize("name", TARGETS)
@quick
@given(draws=st.data())
def test_bytes_that_were_altered(name: str, draws: st.DataObject) -> None:
    data = bytearray(WHOLES[name])
    for _ in range(draws.draw(st.integers(1, 8))):
        data[draws.draw(st.integers(0, len(data) - 1))] = draws.draw(st.integers(0, 255))
    refused(TARGETS[name], bytes(data[: draws.draw(st.integers(0, 2 * len(data)))]))


@pytest.mark.parametrize("name", JSON_TARGETS)
@quick
@given(draws=st.data())
def test_values_that_were_altered(name: str, draws: st.DataObject) -> None:
    content = json.loads(WHOLES[name])
    for _ in range(draws.draw(st.integers(1, 3))):
        alter(content, draws)
    refused(TARGETS[name], json.dumps(content).encode())


def alter(content: Any, draws: st.DataObject) -> None:
    """Puts any value at any place, takes one away, or adds one."""
    while True:
        keys = list(content) if isinstance(content, dict) else list(range(len(content)))
        if not keys:
            return
        key = draws.draw(st.sampled_from(keys))
        inner = content[key]
        if not isinstance(inner, dict | list) or not inner or draws.draw(st.booleans()):
            break
        content = inner
    what = draws.draw(st.sampled_from(["replace", "remove", "add"]))
    if what == "remove":
        del content[key]
    elif what == "add" and isinstance(content, dict):
        content[draws.draw(st.text(max_size=8))] = draws.draw(VALUES)
    else:
        content[key] = draws.draw(VALUES)
