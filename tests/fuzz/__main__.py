"""Feeds one target with bytes that find ever new ways through the code: `python -m tests.fuzz TARGET [-runs=N]`.

What it stops at lies in .cache/fuzz/TARGET/: put the bytes, cut down, into `test_inputs.py`.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["limbshift"]):
    from tests.fuzz.targets import TARGETS, refused, wholes

CACHE = Path(".cache/fuzz")


def main() -> None:
    """Runs libFuzzer, from the bytes that the target takes and from what earlier calls found."""
    name, *options = sys.argv[1:]
    target, corpus = TARGETS[name], CACHE / name
    corpus.mkdir(parents=True, exist_ok=True)
    (corpus / "whole").write_bytes(wholes()[name])

    def feed(data: bytes) -> None:
        refused(target, data)

    atheris.Setup([sys.argv[0], str(corpus), f"-artifact_prefix={corpus}/fault-", "-rss_limit_mb=4096", *options], feed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
