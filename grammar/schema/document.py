"""The schemas of a document: where each stands, its draft, and what its references lead to."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """One schema at its place; interned, the same place is the same object.

    Attributes
    ----------
    keywords : the schema itself
    pointer : where it stands, as a JSON pointer (RFC 6901); "" is the root
    draft : 4, 6, 7, 2019 or 2020
    base : the URI that its references are relative to
    """

    keywords: dict[str, Any] | bool
    pointer: str
    draft: int
    base: str
