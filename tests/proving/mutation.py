"""Values near to valid ones, and texts that are no JSON or repeat a key.

Nothing here knows what is valid: whoever uses it asks an oracle.
"""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from random import Random
from typing import Any

from proving.spelling import Style, write

Path = tuple[Any, ...]

_SCALARS = [None, True, False, 0, 1, -1, Decimal("0.5"), "", "a", "é", [], {}, [0], {"a": 1}]
_NEVER_JSON = ["NaN", "Infinity", "-", "+1", "01", "1.", ".5", "1e", "'a'", "nul", '"\t"', "[,]"]
_BROKEN: list[Callable[[str], str]] = [
    lambda text: text[:-1],
    lambda text: text + text[-1],
    lambda text: text + ",",
    lambda text: text + " {}",
    lambda text: "\ufeff" + text,
    lambda text: text[:-1] + "," + text[-1],
    lambda text: text.replace(":", "=", 1) if text.startswith("{") else text[1:],
    lambda text: "/**/" + text,
    lambda text: text[:-1] + "\x00" + text[-1],
    lambda text: text.replace('"', "'"),
    lambda text: text[:1] + "," + text[1:],
]


class Mutator:
    """Changes values in one place.

    Parameters
    ----------
    schema : whose numbers and strings serve as material
    values : others of the same schema, whose parts may be swapped in
    """

    def __init__(self, schema: Any, values: Sequence[Any], choice: Random) -> None:
        self._choice = choice
        self._numbers = sorted({v for v in _scalars(schema) if type(v) in (int, float)}) or [0]
        self._numbers = [Decimal(str(number)) for number in self._numbers]
        self._texts = sorted({v for v in _scalars(schema) if isinstance(v, str)} | {"", "x"})
        self._parts = [part for value in values for _, part in places(value)]
        self._lengths = sorted({int(n) for n in self._numbers if n == int(n) and 0 <= n <= 600})

    def mutated(self, value: Any) -> tuple[str, Any]:
        """What was done, and the changed value; `value` itself stays as it is."""
        kinds = {dict: self._of_object, list: self._of_array, str: self._of_string}
        choices = list(places(value))
        path, part = self._choice.choice(choices)
        numbers = type(part) in (int, Decimal)
        change = kinds.get(type(part), self._of_number if numbers else self._of_any)
        if self._choice.random() < 0.2:
            change = self._of_any
        what, changed = change(part)
        return what, replaced(value, path, changed)

    def _of_any(self, part: Any) -> tuple[str, Any]:
        match self._choice.randrange(3):
            case 0:
                return "other type", self._choice.choice(_SCALARS)
            case 1:
                return "swapped in", self._choice.choice(self._parts)
            case _:
                return "wrapped", self._choice.choice([[part], {"a": part}, str(part)])

    def _of_object(self, part: dict[str, Any]) -> tuple[str, Any]:
        names, members = list(part), dict(part)
        if not names or self._choice.random() < 0.35:
            name = self._choice.choice([*self._texts, "additional", "é", ""])
            members[name] = self._choice.choice([*_SCALARS, *self._parts[:50]])
            return "property added", members
        name = self._choice.choice(names)
        if self._choice.random() < 0.5:
            del members[name]
            return "property dropped", members
        other = self._choice.choice([name + "x", name[:-1], name.swapcase(), *self._texts])
        renamed = {other if key == name else key: member for key, member in members.items()}
        return "property renamed", renamed

    def _of_array(self, part: list[Any]) -> tuple[str, Any]:
        items = list(part)
        if not items:
            return "item added", [self._choice.choice([*_SCALARS, *self._parts[:50]])]
        at = self._choice.randrange(len(items))
        match self._choice.randrange(6):
            case 0:
                return "item removed", items[:at] + items[at + 1 :]
            case 1:
                return "items removed", items[: self._choice.choice([0, 1, at])]
            case 2:
                return "item repeated", [*items, items[at]]
            case 3:
                size = self._choice.choice([n for n in self._lengths if n <= 20] or [2]) + 1
                return "items repeated", (items * size)[:size]
            case 4:
                return "items reversed", items[::-1]
            case _:
                return "item added", [*items, self._choice.choice([*_SCALARS, *self._parts[:50]])]

    def _of_string(self, part: str) -> tuple[str, Any]:
        length = max(0, self._choice.choice(self._lengths or [3]) + self._choice.choice([-1, 0, 1]))
        at = self._choice.randrange(len(part) + 1)
        match self._choice.randrange(6):
            case 0:
                return "other length", ((part or "a") * (length + 1))[:length]
            case 1:
                return "character removed", part[:at] + part[at + 1 :]
            case 2:
                piece = self._choice.choice([" ", "x", "0", "é", "😀", "-", "\n", '"', "\\", "Z"])
                return "character added", part[:at] + piece + part[at:]
            case 3:
                return "other case", part.swapcase()
            case 4:
                return "text of the schema", self._choice.choice(self._texts)
            case _:
                return "text doubled", part + part

    def _of_number(self, part: int | Decimal) -> tuple[str, Any]:
        bound = self._choice.choice(self._numbers)
        changes = [
            ("number at a bound", bound),
            ("number past a bound", bound + self._choice.choice([1, -1, Decimal("0.01")])),
            ("number past a bound", bound - Decimal("1e-9")),
            ("other number", part + self._choice.choice([1, -1, Decimal("0.5")])),
            ("other number", -part),
            ("other number", part * self._choice.choice([10, 1000, 10**12, Decimal("0.1")])),
        ]
        what, number = self._choice.choice(changes)
        number = Decimal(number)
        is_whole = number == number.to_integral_value()
        return what, int(number) if is_whole else number


def broken(text: str, choice: Random) -> str:
    """A text that is close to `text` and is most probably no JSON."""
    if choice.random() < 0.2:
        return choice.choice(_NEVER_JSON)
    return choice.choice(_BROKEN)(text)


def places(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """All parts of a value, itself first, with the way to each."""
    yield path, value
    if isinstance(value, dict):
        for name, member in value.items():
            yield from places(member, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


def replaced(value: Any, path: Path, part: Any) -> Any:
    """`value` with `part` at `path`."""
    if not path:
        return part
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = replaced(value[path[0]], path[1:], part)
    return copied


def with_repeated_key(value: Any, style: Style, choice: Random) -> str | None:
    """A text of `value` in which an object has a key twice; None where it has no object.

    The second time the key may be escaped, and its value another.
    """
    objects = [(path, part) for path, part in places(value) if isinstance(part, dict) and part]
    if not objects:
        return None
    path, part = choice.choice(objects)
    name = choice.choice(list(part))
    marker = "a key that nothing has"
    members = {**part, marker: choice.choice([part[name], 0, "x"])}
    text = write(replaced(value, path, members), style, choice)
    again = write(name, style, choice)
    if choice.random() < 0.5 and name and name.isascii() and name.isalnum():
        again = f'"\\u{ord(name[0]):04x}{name[1:]}"'
    return text.replace(write(marker, style, choice), again)


def _scalars(schema: Any) -> Iterator[Any]:
    for _, part in places(schema):
        if isinstance(part, dict):
            yield from part
        elif not isinstance(part, list):
            yield part
