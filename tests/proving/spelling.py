r"""The texts of a JSON value: white space, escapes, numbers, orders of properties.

Numbers are int or Decimal (what `proving.oracle.read` gives), so that none is rounded.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

_SPACES = ["", "", "", " ", "  ", "\n", "\t", "\r\n", " \n\t "]
_SHORT = {8: "b", 9: "t", 10: "n", 12: "f", 13: "r", 34: '"', 47: "/", 92: "\\"}


def plain_string(text: str, choice: Random) -> str:
    return json.dumps(text, ensure_ascii=False)


def ascii_string(text: str, choice: Random) -> str:
    r"""As `json.dumps` does it: surrogate pairs beyond U+FFFF."""
    return json.dumps(text)


def hex_string(text: str, choice: Random) -> str:
    r"""``\uXXXX`` throughout, in lower or upper case."""
    return '"' + "".join(_hex(character, choice) for character in text) + '"'


def slash_string(text: str, choice: Random) -> str:
    r"""``\/`` where it can be."""
    return plain_string(text, choice).replace("/", "\\/")


def mixed_string(text: str, choice: Random) -> str:
    """Every character in any way that it can be spelled."""
    return '"' + "".join(_any_spelling(character, choice) for character in text) + '"'


def _hex(character: str, choice: Random) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    units = choice.choice([units, units.upper()])
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def _any_spelling(character: str, choice: Random) -> str:
    if choice.random() < 0.2:
        return _hex(character, choice)
    if ord(character) in _SHORT and choice.random() < 0.5:
        return "\\" + _SHORT[ord(character)]
    return json.dumps(character, ensure_ascii=False)[1:-1]


def plain_number(number: int | Decimal, choice: Random) -> str:
    return str(number)


def other_number(number: int | Decimal, choice: Random) -> str:
    """A number with a fraction or an exponent: 5.0, 5e0, 50e-1, 0.5E+1 for 5."""
    sign, digits, exponent = Decimal(number).as_tuple()
    assert isinstance(exponent, int)
    written = "".join(map(str, digits)).lstrip("0") or "0"
    match choice.randrange(5):
        case 0 if exponent <= 0:
            text = format(abs(Decimal(number)), "f")
            text += choice.choice(["0", "00"]) if "." in text else ".0"
        case 1:
            text = f"{written}e{exponent}"
        case 2:
            text = f"{written}0e{exponent - 1}"
        case 3:
            text = f"0.{written}E{exponent + len(written):+}"
        case _:
            text = f"{written[0]}.{written[1:] or '0'}e{exponent + len(written) - 1:+03}"
    return "-" * sign + text


def _no_space(choice: Random) -> str:
    return ""


def _some_space(choice: Random) -> str:
    return choice.choice(_SPACES)


@dataclass(frozen=True)
class Style:
    """How a value is written.

    Attributes
    ----------
    indent : what each level is indented by, with line ends; None for one line
    comma, colon : what separates
    space : drawn around everything, outside too
    string, number : the writers of those
    shuffled : whether properties come in any order
    """

    indent: str | None = None
    comma: str = ","
    colon: str = ":"
    space: Callable[[Random], str] = _no_space
    string: Callable[[str, Random], str] = plain_string
    number: Callable[[int | Decimal, Random], str] = plain_number
    shuffled: bool = False


SPACED = Style(comma=", ", colon=": ")
STYLES = {
    "compact": Style(),
    "spaced": SPACED,
    "indented by 1": Style(indent=" ", colon=": "),
    "indented by 2": Style(indent="  ", colon=": "),
    "indented by 4": Style(indent="    ", colon=": "),
    "indented by a tab": Style(indent="\t", colon=": "),
    "random white space": Style(space=_some_space),
    "ASCII, surrogate pairs": Style(comma=", ", colon=": ", string=ascii_string),
    "\\uXXXX throughout": Style(string=hex_string),
    "\\/": Style(comma=", ", string=slash_string),
    "any escapes": Style(string=mixed_string),
    "other numbers": Style(comma=", ", colon=": ", number=other_number),
    "shuffled properties": Style(comma=", ", colon=": ", shuffled=True),
    "all at once": Style(
        space=_some_space, string=mixed_string, number=other_number, shuffled=True
    ),
}


def write(value: Any, style: Style, choice: Random) -> str:
    """A text of `value`."""
    return "".join([style.space(choice), *_pieces(value, style, choice, 0), style.space(choice)])


def _pieces(value: Any, style: Style, choice: Random, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield style.string(value, choice)
    elif value is None or isinstance(value, bool):
        yield json.dumps(value)
    elif isinstance(value, int | Decimal):
        yield style.number(value, choice)
    else:
        members = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
        if style.shuffled and isinstance(value, dict):
            choice.shuffle(members)
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        yield opening
        line = "" if style.indent is None or not members else "\n" + style.indent * (depth + 1)
        for index, (key, member) in enumerate(members):
            yield (style.comma.rstrip(" ") if line else style.comma) if index else ""
            yield line + style.space(choice)
            if isinstance(value, dict):
                yield style.string(key, choice) + style.space(choice) + style.colon
                yield style.space(choice)
            yield from _pieces(member, style, choice, depth + 1)
            yield style.space(choice)
        yield (line and "\n" + (style.indent or "") * depth) or style.space(choice)
        yield closing
