"""What the jsonschema package says of a JSON text, and where it cannot be relied on.

Numbers are exact on both sides. A text with a repeated key is invalid, whatever the schema.
"""

import functools
import json
import re
import warnings
from decimal import Decimal, DecimalException
from typing import Any, NamedTuple

import jsonschema
import jsonschema_specifications
from jsonschema.exceptions import FormatError
from referencing.exceptions import Unresolvable

from proving.formats import is_of_format

BIGGEST_EXPONENT = 400  # of a number that is written out as an integer

# Where ECMA-262 and Python's `re` differ, or may: in what they mean beyond printable ASCII.
_CLASSES = re.compile(r"\\[wWdDsSbBpP]|(?<!\\)[.$^]")
_PLAIN = re.compile(r"[ -~]*")


class Verdict(NamedTuple):
    """On one text.

    Attributes
    ----------
    label : "valid", "invalid" or "loose", where the oracle cannot be relied on
    why : the keyword that is violated, "malformed", "repeated key", or what is loose
    """

    label: str
    why: str = ""


class Malformed(ValueError):
    """Not JSON."""


class RepeatedKey(ValueError):
    """JSON in which an object has a key twice."""


class Oracle:
    """Labels texts by one schema, in the draft that it names; else draft 2020-12.

    Raises
    ------
    jsonschema.SchemaError : a schema that is none
    """

    def __init__(self, schema: Any) -> None:
        exact = json.loads(json.dumps(schema), parse_float=Decimal)
        made = jsonschema.validators.validator_for(exact, jsonschema.Draft202012Validator)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            made.check_schema(schema)
        self._draft = _NUMBERS[made.META_SCHEMA.get("$id", made.META_SCHEMA.get("id"))]
        self._unsure = _Formats(self._draft)
        with_unique = jsonschema.validators.extend(made, {"uniqueItems": _check_unique})
        self._validator = with_unique(
            exact, format_checker=self._unsure, registry=jsonschema_specifications.REGISTRY
        )
        self._has_classes = any(map(_CLASSES.search, patterns_in(schema)))

    def judge(self, text: str) -> Verdict:
        """The label of a text."""
        try:
            value = read(text, self._draft)
        except Malformed:
            return Verdict("invalid", "malformed")
        except RepeatedKey:
            return Verdict("invalid", "repeated key")
        except DecimalException:
            return Verdict("loose", "digits of a number")
        return self.judge_value(value)

    def judge_value(self, value: Any) -> Verdict:
        """The label of a value with exact numbers."""
        try:
            found = self._violated(value, unsure_is_right=True)
            if self._unsure.seen and bool(found) != bool(self._violated(value, False)):
                return Verdict("loose", f"format {min(self._unsure.seen)}")
        except DecimalException:
            return Verdict("loose", "digits of a number")
        except (RecursionError, re.error, Unresolvable) as error:
            return Verdict("loose", f"{type(error).__name__} of the oracle")
        if self._has_classes and not all(map(_PLAIN.fullmatch, texts_in(value))):
            return Verdict("loose", "classes of a pattern beyond ASCII")
        return Verdict("invalid", found) if found else Verdict("valid")

    def _violated(self, value: Any, unsure_is_right: bool) -> str:
        """The first keyword found that `value` violates; "" where it is valid."""
        self._unsure.seen.clear()
        self._unsure.answer = unsure_is_right
        with warnings.catch_warnings():  # what Python's `re` may read in another way some day
            warnings.simplefilter("ignore", FutureWarning)
            error = next(self._validator.iter_errors(value), None)
        if error is None:
            return ""
        keyword = str(error.validator)
        return "false" if keyword == "None" else keyword


def _check_unique(validator: Any, unique: bool, items: Any, schema: Any) -> Any:
    """As the keyword is defined; jsonschema compares neighbours, and takes [[1], [true], [1]]."""
    if unique and isinstance(items, list):
        known = [_comparable(item) for item in items]
        if any(item in known[:index] for index, item in enumerate(known)):
            yield jsonschema.ValidationError(f"{items!r} has equal items")


def _comparable(value: Any) -> Any:
    """What is equal exactly where JSON values are: true is not 1, 1.0 is."""
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, dict):
        return {name: _comparable(member) for name, member in value.items()}
    return (isinstance(value, bool), value)


class _Formats(jsonschema.FormatChecker):
    """Gives `answer` where nobody can be sure, and notes the format in `seen`."""

    def __init__(self, draft: int) -> None:
        super().__init__([])
        self.seen: set[str] = set()
        self.answer = True
        self._draft = draft

    def check(self, instance: object, format: str) -> None:
        found = is_of_format(format, instance, self._draft) if isinstance(instance, str) else True
        if found is None:
            self.seen.add(format)
            found = self.answer
        if not found:
            raise FormatError(f"{instance!r} is not a {format!r}")


_NUMBERS = {
    "http://json-schema.org/draft-03/schema#": 3,
    "http://json-schema.org/draft-04/schema#": 4,
    "http://json-schema.org/draft-06/schema#": 6,
    "http://json-schema.org/draft-07/schema#": 7,
    "https://json-schema.org/draft/2019-09/schema": 2019,
    "https://json-schema.org/draft/2020-12/schema": 2020,
}


def read(text: str, draft: int = 2020) -> Any:
    """The value of a JSON text, with exact numbers; those with an integer value are int.

    Not so in draft 4, to which 5.0 is no integer.

    Raises
    ------
    Malformed : not JSON
    RepeatedKey : JSON in which an object has a key twice
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_object_of,
            parse_float=functools.partial(_number, draft=draft),
            parse_constant=_refuse,
        )
    except RepeatedKey:
        raise
    except ValueError as error:
        raise Malformed(str(error)) from error


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise RepeatedKey
    return members


def _number(text: str, draft: int) -> Decimal | int:
    number = Decimal(text)
    _, digits, exponent = number.as_tuple()
    is_short = isinstance(exponent, int) and abs(exponent) + len(digits) < BIGGEST_EXPONENT
    if draft > 4 and is_short and number == number.to_integral_value():
        return int(number)
    return number


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def patterns_in(schema: Any) -> set[str]:
    """What may be a regular expression in a schema."""
    found: set[str] = set()
    if isinstance(schema, list):
        found.update(*map(patterns_in, schema))
    elif isinstance(schema, dict):
        for word, value in schema.items():
            if word == "pattern" and isinstance(value, str):
                found.add(value)
            if word == "patternProperties" and isinstance(value, dict):
                found.update(value)
            found |= patterns_in(value)
    return found


def texts_in(value: Any) -> list[str]:
    """All strings and keys in a value."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in texts_in(item)]
    if isinstance(value, dict):
        return [*value, *(text for item in value.values() for text in texts_in(item))]
    return []
