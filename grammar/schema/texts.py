"""The languages of texts that schemas speak of: strings, keys, numbers; each made once."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

from sampler.errors import UnsupportedSchemaError, shown
from sampler.grammar.engine.program import Spelling, Text
from sampler.grammar.schema.merge import Condition, Numbers, Strings
from sampler.grammar.text.derivatives import matches
from sampler.grammar.text.dfa import TextDfa, dfa_of, text_of
from sampler.grammar.text.emptiness import is_empty
from sampler.grammar.text.formats import FORMATS, NARROWED, WIDENED
from sampler.grammar.text.numbers import Bound, exact
from sampler.grammar.text.numbers import Numbers as Interval
from sampler.grammar.text.numbers import numbers as spelled_numbers
from sampler.grammar.text.regex import parse_regex
from sampler.grammar.text.terms import Term, current_pool


class Texts:
    """Languages of texts in one spelling.

    Parameters
    ----------
    spelling : of the characters of strings and keys, and whether 5.0 is written for 5
    asserts_formats : whether `format` is enforced
    is_widened : whether a format has all texts that it may have, and not only those that are
        certain to have it

    Attributes
    ----------
    formats : the names of the formats that are enforced
    any_term : all texts
    """

    def __init__(self, spelling: Spelling, asserts_formats: bool, is_widened: bool = False) -> None:
        self._spelling = spelling
        self._pool = current_pool()
        self._matches: dict[tuple[Condition, str], bool] = {}
        self._conditions: dict[tuple[str, str, bool], Term] = {}
        self._texts: dict[tuple[Term, int, int | None], Text | None] = {}
        self._numbers: dict[tuple[tuple[Numbers, ...], tuple[str, ...], bool], Text | None] = {}
        self._strings: dict[Strings, Text | None] = {}
        self.is_canonical = spelling is Spelling.CANONICAL
        self.formats = frozenset(FORMATS) if asserts_formats else frozenset[str]()
        self.any_term = self._pool.anything
        self._formats, self._opposites = (WIDENED, FORMATS) if is_widened else (FORMATS, WIDENED)

    def widened(self) -> "Texts":
        """The same with formats widened."""
        return Texts(self._spelling, bool(self.formats), is_widened=True)

    # Terms.

    def condition(self, condition: Condition) -> Term:
        """The texts that meet a `pattern` or `format`.

        Raises
        ------
        UnsupportedSchemaError : what the pattern needs is not supported
        GrammarError : not a regular expression
        """
        key = condition.keyword, condition.value, condition.holds
        if key not in self._conditions:
            if condition.keyword == "format":
                # to have it for certain, or not to have it for certain
                formats = self._formats if condition.holds else self._opposites
                self._conditions[key] = formats[condition.value](self._pool)
            else:
                self._conditions[key] = self._pool.interned(
                    (parse_regex, condition.value),
                    lambda: parse_regex(
                        condition.value, self._pool, search=True, pointer=condition.where
                    ),
                )
        term = self._conditions[key]
        return term if condition.holds else ~term

    def words(self, words: Iterable[str]) -> Term:
        """The texts `words`."""
        return self._pool.words(words)

    def without_words(self, term: Term, words: Sequence[str]) -> Term:
        """The texts of `term` that are none of `words`."""
        return term & ~self.words(words) if words else term

    def strings_term(self, strings: Strings) -> Term:
        """The texts of `strings`, their length included."""
        term = self._contents(strings)
        if (strings.min_length, strings.max_length) == (0, None):
            return term
        return term & self._pool.repeat(
            self._pool.character, strings.min_length, strings.max_length
        )

    def _contents(self, strings: Strings) -> Term:
        term = self.any_term
        for condition in strings.conditions:
            part = self.condition(condition)
            term = part if term is self.any_term else term & part
        return self.without_words(term, sorted(strings.excluded))

    def is_empty(self, term: Term) -> bool:
        """Whether `term` has no text."""
        return is_empty(term)

    def matches(self, condition: Condition, text: str) -> bool:
        """Whether `text` meets `condition`; formats that are not enforced are always met.

        Raises
        ------
        UnsupportedSchemaError : a format that `text` may have or not
        """
        if condition.keyword == "format" and condition.value not in self.formats:
            return True
        key = condition, text
        if key not in self._matches:
            if condition.keyword == "format":
                self._matches[key] = self._has_format(condition, text)
            else:
                self._matches[key] = matches(self.condition(condition), text)
        return self._matches[key]

    def _has_format(self, condition: Condition, text: str) -> bool:
        certain, possible = (
            matches(formats[condition.value](self._pool), text) for formats in (FORMATS, WIDENED)
        )
        if certain != possible:
            raise UnsupportedSchemaError(
                f"whether {shown(text)} has it cannot be told: {NARROWED[condition.value]}",
                "format",
                condition.where,
            )
        return certain

    # Texts.

    def text(self, term: Term, least: int = 0, most: int | None = None) -> Text | None:
        """The texts of `term` with a length from `least` to `most`, or None if there are none."""
        key = term, least, most
        if key not in self._texts:
            self._texts[key] = text_of(term, self._spelling, least, most)
        return self._texts[key]

    def strings(self, strings: Strings) -> Text | None:
        """The texts of `strings`, or None if there are none."""
        if strings not in self._strings:
            term = self._contents(strings)
            self._strings[strings] = self.text(term, strings.min_length, strings.max_length)
        return self._strings[strings]

    def numbers(
        self,
        numbers: tuple[Numbers, ...],
        listed: tuple[str, ...] = (),
        are_written: bool = True,
    ) -> Text | None:
        """How the `numbers` and the `listed` ones are spelled, or None if there are none.

        Those that are listed are spelled as they are where `are_written` is set.
        """
        if not numbers and not listed:
            return None
        key = numbers, listed, are_written
        if key not in self._numbers:
            term = self._pool.interned(
                (Numbers, numbers, listed, are_written, self._spelling),
                lambda: self.either(
                    [*map(self._numbers_term, numbers), *self._listed(listed, are_written)]
                ),
            )
            self._numbers[key] = text_of(term, Spelling.RAW, 0, None)
        return self._numbers[key]

    def _listed(self, numbers: tuple[str, ...], are_written: bool) -> list[Term]:
        if are_written:
            return [self.words(numbers)]
        return [self._spelled(_one_value(exact(text)), self._spelling) for text in numbers]

    def either(self, terms: Iterable[Term]) -> Term:
        """The texts of any of `terms`."""
        return self._pool.alternation(terms)

    def _numbers_term(self, numbers: Numbers) -> Term:
        spelling = Spelling.CANONICAL if numbers.is_plain else self._spelling
        term = self._spelled(numbers.interval, spelling, numbers.is_integer)
        others = [Interval(step=step) for step in numbers.not_steps]
        others += [_one_value(value) for value in numbers.excluded]
        if others:  # without exponents all spellings of these are known
            term &= self._pool.star(self._pool.characters(((0, 0x44), (0x46, 0x64), (0x66, 0x7F))))
        for interval in others:
            term &= ~self._spelled(interval, Spelling.FREE)
        return term

    def _spelled(self, interval: Interval, spelling: Spelling, is_integer: bool = False) -> Term:
        return spelled_numbers(
            self._pool,
            integer=is_integer,
            minimum=interval.minimum,
            maximum=interval.maximum,
            multiple_of=interval.step,
            spelling=spelling,
        )

    def dfa(self, term: Term) -> TextDfa:
        """The automaton of `term`."""
        return dfa_of(term)


def _one_value(value: Fraction) -> Interval:
    return Interval(Bound(value), Bound(value))
