"""What JSON values are equal: by their texts, whatever the size of their numbers."""

import json
from typing import Any

_NUMBER, _ARRAY, _OBJECT = "number", "array", "object"


def key_of(text: bytes) -> object:
    """Something hashable that is equal exactly for texts of values that JSON Schema calls equal.

    A string is itself. 1, 1.0 and 10e-1 are equal; numbers are compared digit by digit.
    """
    return _key(_DECODER.decode(text.decode()))


def _number(text: str) -> tuple[str, bool, str, int]:
    digits, _, exponent = text.lstrip("-").lower().partition("e")
    whole, _, fraction = digits.partition(".")
    significant = (whole + fraction).lstrip("0")
    stripped = significant.rstrip("0")
    if not stripped:
        return _NUMBER, False, "", 0
    power = int(exponent or "0") - len(fraction) + len(significant) - len(stripped)
    return _NUMBER, text.startswith("-"), stripped, power


def _key(value: Any) -> object:
    if isinstance(value, list):
        return _ARRAY, tuple(map(_key, value))
    if isinstance(value, dict):
        return _OBJECT, frozenset((name, _key(item)) for name, item in value.items())
    return value


_DECODER = json.JSONDecoder(parse_int=_number, parse_float=_number, strict=False)
