"""What tyro says of a mistyped command, said anew on one short line."""

import ast
import contextlib
import difflib
import io
import re
from collections.abc import Iterable, Sequence

import tyro

MAX_LENGTH = 160
"""Characters of a line."""
OPTION = re.compile(r"^[│|]?\s*(--?[a-zA-Z][\w.-]*)", re.MULTILINE)
"""An option at the beginning of a line of help."""


FIRST_COMMANDS = 6
"""That are named where a command is not known."""


def unknown_command(name: str, commands: Iterable[str]) -> str:
    """Says that there is no such command, and which was probably meant."""
    known = list(commands)
    if nearest := difflib.get_close_matches(name, known, n=1):
        return f"unknown command {name!r}: did you mean {nearest[0]}?"
    return f"unknown command {name!r}: expected one of {first_of(known)}"


def missing_command(commands: Iterable[str]) -> str:
    """Says that a command is missing, and which there are."""
    return f"a command is missing, expected one of {first_of(list(commands))}"


def first_of(commands: Sequence[str]) -> str:
    """Names the first commands, and where the others are listed."""
    rest = len(commands) - FIRST_COMMANDS
    others = f" or {rest} others: see limbshift --help" if rest > 0 else ""
    return f"{', '.join(commands[:FIRST_COMMANDS])}{others}"


def usage_error(box: str, command: str, kind: object) -> str:
    """Says what tyro's box says of a command's arguments: the value found, and the value expected.

    command: such as "limbshift train". kind: the configuration that its arguments make.
    """
    text = unboxed(box)
    for pattern, say in (
        (r"Unrecognized options: (?P<tokens>.*?)(; |$)", _unknown),
        (r"Missing from [^:]*: (?P<arguments>.*)", _missing),
        (r"Missing value for argument '(?P<option>[^']*)'", _without_value),
        (r"invalid choice '(?P<value>.*)' for argument '(?P<option>[^']*)'\. Expected one of (?P<of>\(.*?\))", _choice),
        (r"(?P<option>-?-?[\w.-]+): .*?(?P<found>\[.*\]|'[^']*')\.?$", _wrong_type),
    ):
        if match := re.search(pattern, text):
            return shorten(say(match, command, kind))
    return shorten(text)


def unboxed(box: str) -> str:
    """Returns the message in tyro's box without its frame, its hints about --help, and names of our classes."""
    text = "\n".join(re.sub("[│╭╮╰╯|]", "", line).strip() for line in box.splitlines()[1:-1])
    paragraphs = [part.strip() for part in re.split("[─-]{3,}", text)]  # the rule is of hyphens in ASCII terminals
    kept = [part.split("\n\n")[0] for part in paragraphs if part and not re.match("(For full|Argument) helptext", part)]
    message = "; ".join(" ".join(part.split()) for part in kept).removeprefix("Error parsing ")
    return re.sub(r"^\w*Config: ", "", message)


def shorten(text: str) -> str:
    """Returns a line that fits most terminals."""
    return text if len(text) <= MAX_LENGTH else text[: MAX_LENGTH - 1].rstrip() + "…"


def options_of(kind: object) -> list[str]:
    """Returns the options that a command's help lists."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        tyro.cli(kind, args=["--help"])  # type: ignore[call-overload]
    return list(dict.fromkeys(OPTION.findall(printed.getvalue())))


def _unknown(match: re.Match[str], command: str, kind: object) -> str:
    tokens = match["tokens"].split(", ")
    option = next((token for token in tokens if token.startswith("-")), None)
    if option is None:
        return f"unexpected argument {tokens[0]!r}: see {command} --help"
    option = option.partition("=")[0]
    nearest = difflib.get_close_matches(option, options_of(kind), n=1, cutoff=0.7)
    return f"unknown option {option}: " + (f"did you mean {nearest[0]}?" if nearest else f"see {command} --help")


def _missing(match: re.Match[str], command: str, kind: object) -> str:
    names = re.findall(r"(?:^|\(required\) )(--[\w.-]+|[A-Z]+\b)", match["arguments"])
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} missing: see {command} --help"


def _without_value(match: re.Match[str], command: str, kind: object) -> str:
    return f"{match['option']} needs a value: see {command} --help"


def _choice(match: re.Match[str], command: str, kind: object) -> str:
    return f"{match['option']} is {match['value']!r}, expected one of {', '.join(ast.literal_eval(match['of']))}"


def _wrong_type(match: re.Match[str], command: str, kind: object) -> str:
    found = ast.literal_eval(match["found"])
    value = " ".join(found) if isinstance(found, list) else found
    for named, expected in (("int()|INT", "a whole number"), ("float:|FLOAT", "a number")):
        if re.search(named, match[0]):
            return f"{match['option']} is {value!r}, expected {expected}{' or none' if '{none}' in match[0] else ''}"
    return f"{match['option']} cannot be {value!r}: see {command} --help"
