"""Reads MJCF as XML, and sees in it what MuJoCo sees."""

import re
from xml.etree import ElementTree
from xml.parsers import expat

from limbshift.envs.errors import InputError


class MarkupError(InputError):
    """A text that is no XML, or that holds what no robot needs; the error goes on from its name."""


def parse_mjcf(text: bytes) -> ElementTree.Element:
    """Returns an MJCF file's root element; MarkupError where MuJoCo might see other elements in the text.

    Comments that MuJoCo takes may not be XML: those with two hyphens in them.

    >>> parse_mjcf(b"<mujoco><!-- a -- b --></mujoco>").tag
    'mujoco'
    """
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()  # without namespaces, which MuJoCo does not know: `include` in one is `include` to it
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    # In these what looks like a comment is none.
    parser.StartCdataSectionHandler = lambda: _refuse("a CDATA section")
    parser.StartDoctypeDeclHandler = lambda *_: _refuse("a DOCTYPE")
    parser.ProcessingInstructionHandler = lambda *_: _refuse("a processing instruction")
    # A comment loses its text alone, so that expat judges whether it is one: in an attribute, it refuses it.
    emptied = re.sub(rb"<!--.*?-->", b"<!---->", text, flags=re.DOTALL)
    try:
        parser.Parse(emptied, True)
    except MarkupError:
        raise
    except (expat.ExpatError, ValueError, LookupError) as error:  # the latter two: of an unknown encoding
        raise MarkupError(f"is not XML: {error}") from error
    return builder.close()


def _refuse(what: str) -> None:
    raise MarkupError(f"holds {what}")
