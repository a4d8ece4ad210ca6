"""Regular expressions against Python's `re` on every short text, and what is refused."""

import itertools
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sampler.errors import GrammarError, GrammarLimitError, UnsupportedSchemaError
from sampler.grammar import characters
from sampler.limits import Limits

ALPHABET = ["a", "b", "A", "1", "-", "é"]
TEXTS = ["".join(text) for n in range(4) for text in itertools.product(ALPHABET, repeat=n)]


@pytest.fixture(scope="module")
def matched(outlines_compiler):
    """Those of TEXTS that a pattern matches as a whole."""

    def check(pattern):
        grammar = outlines_compiler.compile_regex(pattern)
        found = []
        for text in TEXTS:
            matcher = grammar.matcher()
            if matcher.accept_bytes(text.encode()) and matcher.is_accepting():
                found.append(text)
        return found

    return check


@pytest.mark.parametrize(
    "pattern",
    [
        "a|ab",  # the first alternative does not hide the second
        "(a|ab)(b|)",
        "a*?b+?",
        "a{2}|b{1,}|1{0,2}",
        "^a$|^b|A$",
        "^(a|b)$",
        "(^a|b$)",
        "(?:a)(?P<x>b)(?P<y>1)?",
        "[^a]",
        "[a-]b",
        "[a\\]]",
        "[-a]+",
        "[a\\-1]{2}",
        "[^\\W]\\d?",
        "\\w\\W",
        "[\\d\\s]+",
        "\\x61\\u0062",
        "a{0}",
        "\\.|\\-|\\|",
        "(a(b(1)?)?)?",
        "",
        "()",
        "a||b",
        "(?i)a[b-b]é",
        "(?i)[^a]",
        "(?s).",
        ".-?",
    ],
)
def test_whole_texts_as_re_matches_them(pattern, matched):
    expression = re.compile(pattern, re.ASCII if "\\" in pattern else 0)
    assert matched(pattern) == [text for text in TEXTS if expression.fullmatch(text)]


def patterns():
    sets = st.sampled_from(
        ["a", "b", "é", "[ab]", "[^a]", "[a-c1]", "[^1-9]", ".", "-", "\\d", "\\D"]
    )
    return st.recursive(
        sets,
        lambda inner: st.one_of(
            st.builds("({})".format, inner),
            st.builds("{}{}".format, inner, inner),
            st.builds("({}|{})".format, inner, inner),
            st.builds(
                "(?:{}){}".format,
                inner,
                st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{0,2}", "*?"]),
            ),
        ),
        max_leaves=5,
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(pattern=patterns())
def test_generated_patterns_as_re_matches_them(pattern, matched):
    expression = re.compile(pattern, re.ASCII)
    assert matched(pattern) == [text for text in TEXTS if expression.fullmatch(text)]


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("\\d", "19", "a\u0663"),
        ("\\w", "aZ_0", "-é"),
        ("\\s", " \t\n\v\f\r\u00a0\u2028\ufeff\u3000", "a\x1c\x85"),
        ("\\S", "a\x1c\x85", " \ufeff"),
        (".", "a\x85\v", "\n\r\u2028\u2029"),
        ("\\p{L}", "aéλ", "1 -"),
        ("\\p{Lu}", "AÉ", "aé1"),
        ("\\P{L}", "1 -", "aé"),
        ("[\\p{Nd}x]", "1x\u0663", "a"),
        ("\\cJ|\\t|\\f|\\v|\\u{1F600}|\\uD83D\\uDE01", "\n\t\f\v😀😁", "a"),
        ("[\\b]", "\b", "b"),
        ("[^\\n]", "a", "\n"),
        ("(?i)[x-z]", "xXzZ", "aA"),
        ("[a&]", "a&", "b"),
        ("\\/|\\}|\\]|}|]|\\~|\\ ", "/}]~ ", "\\"),
    ],
)
def test_single_characters(pattern, yes, no, outlines_compiler, accepts):
    grammar = outlines_compiler.compile_regex(pattern)
    for character in yes:
        assert accepts(grammar, character), character
    for character in no:
        assert not accepts(grammar, character), character


def test_u0000_is_never_written_and_the_warnings_say_so(outlines_compiler, accepts):
    grammar = outlines_compiler.compile_regex("[^a]")
    assert not accepts(grammar, "\0")
    assert grammar.warnings == ["regex: the character U+0000 is never written"]
    assert outlines_compiler.compile_regex("a").warnings == []


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("(?=a)b", "look-aheads"),
        ("(?!a)b", "look-aheads"),
        ("(?<=a)b", "look-behinds"),
        ("(?<!a)b", "look-behinds"),
        ("(a)\\1", "back-references"),
        ("(?P<x>a)(?P=x)", "back-references"),
        ("(?<x>a)\\k<x>", "back-references"),
        ("a\\b", "word boundaries"),
        ("a\\B", "word boundaries"),
        ("\\Aa\\z", "anchors other than"),
        ("a\\Z", "anchors other than"),
        ("a^b", "ends of the pattern"),
        ("(a$)?b", "ends of the pattern"),
        ("(?>a)", "atomic groups"),
        ("a++", "possessive"),
        ("a(?i)b", "flags"),
        ("(?i:a)", "flags"),
        ("(?m)^a", "flags"),
        ("(?#x)a", "comments"),
        ("[a&&b]", "set operations"),
        ("[[:alpha:]]", "named classes"),
        ("[]a]", "closing bracket"),
        ("[^]", "closing bracket"),
        ("\\p{Greek}", "general categories"),
        ("(?i)[\\u0100-\\uffff]", "case-insensitive"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(pattern, what, outlines_compiler):
    with pytest.raises(UnsupportedSchemaError, match=what) as refusal:
        outlines_compiler.compile_regex(pattern)
    assert refusal.value.keyword == "regex"


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", r"character 2: missing \)"),
        ("a)", "closing parenthesis"),
        ("[a", "missing ]"),
        ("[a-", "missing ]"),
        ("*a", "nothing to repeat"),
        ("a|+", "nothing to repeat"),
        ("^*", "nothing to repeat"),
        ("a**", "multiple repeat"),
        ("a{2}{3}", "multiple repeat"),
        ("a{3,2}", "wrong order"),
        ("[b-a]", "wrong order"),
        ("[a-\\d]", "single character"),
        ("a\\", "backslash at the end"),
        ("\\y", r"unknown escape \\y"),
        ("\\u{110000}", "no such character"),
        ("\\xg1", "unknown escape"),
        ("[^\\s\\S]", "no text matches"),
        ("a[^\\s\\S]b", "no text matches"),
        ("\\0", "no text matches"),
    ],
)
def test_what_is_not_a_regular_expression_is_refused_with_the_reason(
    pattern, reason, outlines_compiler
):
    with pytest.raises(GrammarError, match=reason) as refusal:
        outlines_compiler.compile_regex(pattern)
    assert not isinstance(refusal.value, UnsupportedSchemaError)


def test_an_alternative_that_matches_nothing_is_left_out(matched):
    assert matched("a|[^\\s\\S]b") == ["a"]
    assert matched("b[^\\s\\S]*") == ["b"]


def test_size_nesting_and_repetition_are_limited(outlines_compiler):
    with pytest.raises(GrammarLimitError, match="size of the grammar in bytes"):
        outlines_compiler.compile_regex("a" * (Limits().max_grammar_bytes + 1))
    with pytest.raises(GrammarLimitError, match=r"nesting of groups must be <= 64\. Given: 65"):
        outlines_compiler.compile_regex("(" * 65 + ")" * 65)
    with pytest.raises(GrammarLimitError, match="repetition"):
        outlines_compiler.compile_regex("a{99999999999}")
    deep = outlines_compiler.compile_regex("(" * 64 + "a" + ")" * 64)
    assert deep.matcher().accept_bytes(b"a")


@given(
    left=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted).map(tuple)),
    right=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted).map(tuple)),
)
def test_sets_of_characters_are_sets(left, right):
    left, right = characters.union(left), characters.union(right)
    one, other = set(characters.members(left)), set(characters.members(right))
    assert set(characters.members(characters.intersection(left, right))) == one & other
    assert set(characters.members(characters.difference(left, right))) == one - other
    assert characters.complement(characters.complement(left)) == left
    assert characters.size(left) == len(one)
