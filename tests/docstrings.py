"""What a docstring says of the parameters of a function, or of the fields of a dataclass."""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from types import ModuleType

_ITEM = re.compile(r"([\w*][\w, *]*?) : ")


def documented(text: str, section: str) -> list[str] | None:
    """The names that a section of a docstring describes, in its order; None without it.

    A section is its name, a line of dashes, and items ``name : what it is`` or ``one, two : ...``
    that begin a line; it ends at an empty line.
    """
    lines = inspect.cleandoc(text).splitlines()
    for start, line in enumerate(lines[:-1]):
        if line == section and lines[start + 1] == "-" * len(section):
            break
    else:
        return None
    names: list[str] = []
    for line in lines[start + 2 :]:
        if not line:
            break
        if item := _ITEM.match(line):
            names += item[1].replace("*", "").split(", ")
    return names


def mismatches(thing: object) -> list[str]:
    """What the docstring of a function or class says otherwise than its signature.

    The section "Attributes" of a dataclass must name exactly its public fields, in order; the
    section "Parameters" of a function, or of a class for its constructor, exactly the parameters.
    Either may be left out, the docstring may not.
    """
    name = getattr(thing, "__qualname__", repr(thing))
    text = inspect.getdoc(thing)
    if not text:
        return [f"{name} has no docstring"]
    found = []
    if (said := documented(text, "Parameters")) is not None and callable(thing):
        expected = [item for item in inspect.signature(thing).parameters if item != "self"]
        found += [] if said == expected else [f"{name} describes {said}, it takes {expected}"]
    if (said := documented(text, "Attributes")) is not None and dataclasses.is_dataclass(thing):
        expected = [f.name for f in dataclasses.fields(thing) if not f.name.startswith("_")]
        found += [] if said == expected else [f"{name} describes {said}, it has {expected}"]
    return found


def public_things(module: ModuleType) -> Iterator[object]:
    """The public functions and classes that a module defines, and the methods of those classes."""
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(thing):
            yield thing
            yield from (
                method
                for key, method in vars(thing).items()
                if not key.startswith("_") and inspect.isfunction(method)
            )
        elif inspect.isfunction(thing):
            yield thing
