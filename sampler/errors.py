"""Every error this library raises on purpose, and the wire form of each.

    SamplerError
    +-- InvalidParameterError      a value outside its legal range (also a ValueError)
    +-- GrammarError               a schema, pattern or grammar that is not valid
    |   +-- UnsupportedSchemaError     valid, but it cannot be enforced exactly
    |   +-- GrammarLimitError          valid, but larger than a stated limit
    +-- OverloadedError            no room left in the waiting queue
    +-- LogitsError                a row from which no token can be drawn
    +-- ModelCallbackError         the model raised, or returned what is not logits
    +-- IncompleteGenerationError  ended before the last token, as by closing the engine
        +-- IncompleteStreamError      the same, of a request whose events were being sent

`error_type` uses TGI's values only, because its clients map by them; `http_status` is a hint for
servers. This module imports nothing of the project, so every layer may raise these.
"""

import copyreg
from collections.abc import Sequence
from reprlib import Repr
from typing import Any, ClassVar


class SamplerError(Exception):
    """Base of all errors; by itself a failure while tokens were being generated."""

    error_type: ClassVar[str] = "generation"
    http_status: ClassVar[int] = 424
    _wire_prefix: ClassVar[str] = "Request failed during generation: "

    def to_dict(self) -> dict[str, str]:
        """The wire form: ``{"error": text, "error_type": one of TGI's values}``."""
        return {"error": f"{self._wire_prefix}{self}", "error_type": self.error_type}

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies and unpickled errors have what this one has; `__init__`, which takes other
        # arguments in some subclasses, is not called again.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class InvalidParameterError(SamplerError, ValueError):
    """A value that a parameter does not take; `problems` has one text for each wrong value."""

    error_type = "validation"
    http_status = 400
    _wire_prefix = "Input validation error: "

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("; ".join(self.problems))


class GrammarError(SamplerError):
    """A JSON Schema, regular expression or grammar that is not valid."""

    error_type = "validation"
    http_status = 400
    _wire_prefix = "Input validation error: grammar is not valid: "


class UnsupportedSchemaError(GrammarError):
    """A valid constraint that cannot be enforced exactly, refused before generation.

    `keyword` names what is unsupported, `json_pointer` (RFC 6901) where it stands; the
    pointer to the root is empty.
    """

    def __init__(self, message: str, keyword: str, json_pointer: str = "") -> None:
        self.keyword = keyword
        self.json_pointer = json_pointer
        where = repr(json_pointer) if json_pointer else "the root"
        super().__init__(f"`{keyword}` at {where}: {message}")


class GrammarLimitError(GrammarError):
    """A constraint that needs more than `limit` of something; `given` is what it needed."""

    def __init__(self, what: str, given: float | str, limit: float) -> None:
        self.given = given
        self.limit = limit
        super().__init__(f"{what} must be <= {limit}. Given: {given}")


class OverloadedError(SamplerError):
    """No room for another request; try again later."""

    error_type = "overloaded"
    http_status = 429
    _wire_prefix = ""

    def __init__(self, message: str = "Model is overloaded") -> None:
        super().__init__(message)


class LogitsError(SamplerError):
    """A row of logits from which no token can be drawn."""


class ModelCallbackError(SamplerError):
    """The model callback raised, or returned something that is not a batch of logits."""


class IncompleteGenerationError(SamplerError):
    """The request ended before its last token: the engine was closed, or nobody waited."""

    error_type = "incomplete_generation"
    http_status = 500
    _wire_prefix = ""

    def __init__(self, message: str = "Incomplete generation") -> None:
        super().__init__(message)


class IncompleteStreamError(IncompleteGenerationError):
    """A stream ended before its last token."""

    error_type = "incomplete_generation_stream"

    def __init__(self, message: str = "Incomplete generation stream") -> None:
        super().__init__(message)


class _Shown(Repr):
    """A `repr` that stays short and never fails, whatever a request contains."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 120
        self.maxlong = 40
        self.maxlevel = 3

    def repr_int(self, x: int, level: int) -> str:
        if x.bit_length() > 512:  # repr refuses integers of thousands of digits
            return f"an integer of {x.bit_length()} bits"
        return super().repr_int(x, level)


def shown(value: object) -> str:
    """`value` as it stands in an error message: its repr, cut where it is long or deep."""
    return _Shown().repr(value)
