"""Reads MJCF as XML."""

import re
from xml.etree import ElementTree


def parse_mjcf(text: bytes) -> ElementTree.Element:
    """Returns an MJCF file's root element; ParseError, ValueError or LookupError where the text is no XML.

    Comments that MuJoCo takes may not be XML: those with two hyphens in them.

    >>> parse_mjcf(b"<mujoco><!-- a -- b --></mujoco>").tag
    'mujoco'
    """
    return ElementTree.fromstring(re.sub(rb"<!--.*?-->", b"", text, flags=re.DOTALL))
