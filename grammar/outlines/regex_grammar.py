"""Regular expressions of a request, checked and written out for the backend."""

from dataclasses import dataclass, field

from sampler.errors import GrammarError, GrammarLimitError
from sampler.grammar import characters
from sampler.grammar.budget import check_size, check_time
from sampler.grammar.outlines.pattern import parse_pattern
from sampler.grammar.outlines.pattern_regex import (
    any_of,
    branches,
    character_sets,
    spell_text,
    to_regex,
)
from sampler.limits import Limits


@dataclass(frozen=True, slots=True)
class Translation:
    """What the backend compiles, and what is to be known of it.

    Attributes
    ----------
    regex : a regular expression in the syntax of `pattern_regex`
    warnings : what is only annotated or narrowed
    free_keys : whether some object keys are free, so that their being distinct must be watched
    """

    regex: str
    warnings: list[str] = field(default_factory=list)
    free_keys: bool = False


def checked_size(regex: str | None, limits: Limits) -> str | None:
    """`regex` itself.

    Raises
    ------
    GrammarLimitError : it is too long, or the time of the compile is over
    """
    check_time()
    size = len(regex) if regex is not None else 0
    if size > limits.max_grammar_bytes:
        what = "size of the schema as a regular expression"
        raise GrammarLimitError(what, size, limits.max_grammar_bytes)
    return regex


def translate_regex(pattern: str, limits: Limits) -> Translation:
    """`pattern`, matched from the beginning to the end of the text, for the backend.

    Raises
    ------
    GrammarError : not a regular expression, or one that matches nothing
    UnsupportedSchemaError : syntax that is not supported
    GrammarLimitError : larger than a limit
    """
    check_size(pattern, limits)
    node = parse_pattern(pattern, limits.max_grammar_depth, flags=True)
    # the whole text is matched, so anchors at the ends of an alternative say nothing new
    regex = any_of(to_regex(content, spell_text) for _, content, _ in branches(node))
    if regex is None:
        raise GrammarError("no text matches the regular expression")
    nul = characters.of("\0")
    if any(characters.intersection(ranges, nul) for ranges in character_sets(node)):
        return Translation(regex, ["regex: the character U+0000 is never written"])
    return Translation(regex)
