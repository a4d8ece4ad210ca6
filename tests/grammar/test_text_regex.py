"""Regular expressions of the engine's own against Python's `re`, and what is refused."""

import contextlib
import itertools
import re
import unicodedata
from bisect import bisect_right

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampler.errors import GrammarError, GrammarLimitError, UnsupportedSchemaError
from sampler.grammar.text.derivatives import matches
from sampler.grammar.text.dfa import TextDfa
from sampler.grammar.text.emptiness import is_empty
from sampler.grammar.text.regex import parse_regex
from sampler.grammar.text.regex_syntax import MAX_ATOMS, MAX_REPEAT
from sampler.grammar.text.terms import TermPool
from sampler.grammar.text.unicode_properties import property_ranges

POOL = TermPool()


def texts(alphabet, length):
    return [
        "".join(text) for n in range(length + 1) for text in itertools.product(alphabet, repeat=n)
    ]


def found(pattern, among, search):
    term = parse_regex(pattern, POOL, search)
    return [text for text in among if matches(term, text)]


def expected(pattern, among, search):
    # ECMA-262's `$` is Python's `\Z`; Python's `\B` does not match the empty text.
    in_python = pattern.replace("$", "\\Z").replace("\\B", "(?!\\b)")
    expression = re.compile(in_python, re.ASCII)
    match = expression.search if search else expression.fullmatch
    return [text for text in among if match(text)]


SAME_IN_PYTHON = """
a|ab  (a|ab)(b|)  a*?b+?  a{2}|b{1,}|1{0,2}  (?:a)(?P<x>b)(?<y>1)?
[^a]  [a-]b  [-a]+  [a\\-1]{2}
[^\\W]\\d?  \\w\\W  [\\d\\s]+  \\x61\\u0062  a{0}  \\.|\\-|\\|  (a(b(1)?)?)?  ()  a||b  .-?
(a|b)??1
a  ^a  a$  ^a$  ^a|b$  ^(a|b)$  (^|-)a(-|$)  (^a|b)1  a^b  (a$)?b  ^^a$$  (^|a)(^|b)(^|1)$
(?:^a|b)+  a\\b  \\ba  \\bab\\b  \\Ba  a\\B  \\B-\\B  ^(?:\\ba|b\\b|-){1,4}$  (?:\\b|a){3}b
\\b  \\B  \\b\\b-  a\\b.\\b1
(?=a)b  (?=a).b  (?!a).b  ^(?!a)  ^(?!.*--)[ab-]+$  (?=.*1)(?=.*a)[ab1]{2,3}  ^(?=.{2,3}$)(a|b1)*$
^((?!ab).)*$  ((?=a)a|b)*$  ^((?=ab)a|b)*1$  (?:(?=a)|b){2}  (?:(?=a)|b){2,3}1  (?:(?!a)|b){2,}1
(?<=a)b  (?<!a)b  (?<!^)b  ^.*(?<!a)$  ^.*(?<!ab)(?<!1)$  (a|(?<=b)1)+$  (?:a(?!b)|b(?<!1b))*$
^(?:(?<=b)a|b|(?<!a)1)*$  (?<!(?<=a)b)1  (?<=(?<!b)a)b  (?!(?<=a)b)1|a(?!(?<=a)b)1*$  (?=(?<!a)b)b1
(?!(?!a)b)1  (?=(?:(?=a)[ab])*1)a  (?<=a)(?=b)  ^(?:a|(?=.b(?!1))1)*$  (?!$)a?  (?=a|$)1?$
"""


@pytest.mark.parametrize("pattern", SAME_IN_PYTHON.split())
def test_whole_texts_and_parts_as_re_matches_them(pattern):
    pattern = pattern.replace("(?<y>", "(?P<y>")
    for search in (False, True):
        for around in (pattern, f"1?{pattern}" if "|" not in pattern else pattern):
            among = texts("ab1- ", 4)
            assert found(around, among, search) == expected(around, among, search)


PARTS = ["a", "b", "1", "[ab]", "[^a]", ".", "\\w", "^", "$", "\\b", "\\B", "(?=a)", "(?!b1)"]
PARTS += ["(?<=a)", "(?<!b)", "(?<!^a)", "(?=.*b)", "(?!.*a$)"]


def patterns():
    return st.recursive(
        st.sampled_from(PARTS),
        lambda inner: st.one_of(
            st.builds("{}{}".format, inner, inner),
            st.builds("{}{}{}".format, inner, inner, inner),
            st.builds("({}|{})".format, inner, inner),
            st.builds(
                "(?:{}){}".format,
                inner,
                st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{0,2}", "*?", "{2,3}"]),
            ),
            st.builds("(?{}{})".format, st.sampled_from("=!"), inner),
        ),
        max_leaves=6,
    )


@settings(max_examples=300)
@given(patterns(), st.booleans())
def test_generated_patterns_as_re_matches_them(pattern, search):
    among = texts("ab1", 4)
    assert found(pattern, among, search) == expected(pattern, among, search)


@settings(max_examples=100)
@given(patterns())
def test_an_automaton_takes_what_its_pattern_matches(pattern):
    dfa = TextDfa(parse_regex(pattern, POOL, search=True))
    classes = {c: dfa._partition.class_of(ord(c)) for c in "ab1"}

    def takes(text):
        state = dfa.start
        for character in text:
            state = dfa.row(state)[classes[character]]
        return dfa.is_accepting(state)

    among = texts("ab1", 3)
    assert [text for text in among if takes(text)] == expected(pattern, among, search=True)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("\\d", "19", "a\u0663"),
        ("\\w", "aZ_0", "-é"),
        ("\\s", " \t\n\v\f\r\u00a0\u2028\ufeff\u3000", "a\x1c\x85"),
        ("\\S", "a\x1c\x85", " \ufeff"),
        (".", "a\x85\v", "\n\r\u2028\u2029"),
        ("(?s).", "a\n\u2028", ""),
        ("\\p{L}", "aéλ", "1 -"),
        ("\\p{Lu}", "AÉ", "aé1"),
        ("\\p{Letter}|\\p{gc=Nd}", "aé1\u0663", "- "),
        ("\\p{LC}", "aAǅ", "ªא1"),
        ("\\p{Uppercase}", "AⅠ", "aa1"),
        ("\\p{Alphabetic}", "aªⅠא\u0345", "1_-\u0301"),
        ("\\p{Script=Greek}|\\p{sc=Cyrl}", "αΩЖ", "a\u0342漢"),
        ("\\p{Script_Extensions=Greek}", "αΩ\u0342", "aЖ"),
        ("\\p{scx=Hira}", "ひー、", "漢a"),
        ("\\P{Script=Han}", "aひ", "漢々〇"),
        ("\\p{Any}", "a\0\U0010ffff", ""),
        ("\\p{ASCII}", "a\0\x7f", "é\x80"),
        ("\\P{L}", "1 -", "aé"),
        ("\\pL", "aé", "1"),
        ("[\\p{Nd}x]", "1x\u0663", "a"),
        ("\\cJ|\\t|\\f|\\v|\\u{1F600}|\\uD83D\\uDE01|\\0", "\n\t\f\v😀😁\0", "a"),
        ("[\\b]", "\b", "b"),
        ("[^\\n]", "a", "\n"),
        ("(?i)[x-z]k", ["xk", "XK", "Zk", "y\u212a"], ["ak"]),
        ("(?i)é|ß|σ", "éÉßẞσΣς", "es"),
        ("(?i)[^k]", "aé", "kK\u212a"),
        ("(?i)\\W", "-é", "kſ\u212aS"),
        ("a(?i:b)c|(?i)d(?-i)e", ["abc", "aBc", "de", "De"], ["abC", "dE", "Abc"]),
        ("(?i:a)b", ["ab", "Ab"], ["aB"]),
        ("x(?#what follows)y", ["xy"], ["x", "x(?#what follows)y"]),
        ("\\/|\\}|\\]|}|]|\\~|\\ |\\_|\\-|\\@|\\é", "/}]~ _-@é", "\\"),
        ("[\\w-.]|[a&&b]|[\\w-]", "a_-.&", "+]"),
        ("a{|b{x}|{a}", ["a{", "b{x}", "{a}"], ["a", "{"]),
        ("[[:alpha:]]", ["[]", "a]", ":]"], ["a", "b]"]),
        ("\\Aab\\z|\\Acd\\Z", ["ab", "cd"], ["abc", "cd\n"]),
        ("(?<=^|,)a|(?<=b{1,3})c?", ["a"], ["c", ""]),
    ],
)
def test_single_constructs(pattern, yes, no):
    term = parse_regex(pattern, POOL, search=False)
    assert [text for text in yes if not matches(term, text)] == []
    assert [text for text in no if matches(term, text)] == []


def test_lines_have_beginnings_and_ends_of_their_own_with_the_flag_m():
    among = texts("ab\n", 4)
    for pattern in ("(?m)^a$", "(?m:^)b", "a(?m:$)\n?b", "(?m)^$"):
        assert found(pattern, among, True) == [t for t in among if re.search(pattern, t)]


def test_look_behinds_of_any_width():
    among = texts("ab1", 5)
    term = parse_regex("^[ab1]*(?<=ab*)1", POOL, search=True)
    assert [t for t in among if matches(term, t)] == [t for t in among if re.search("ab*1", t)]
    term = parse_regex("(?<=^|b)1", POOL, search=True)
    assert [t for t in among if matches(term, t)] == [t for t in among if re.search("^1|b1", t)]


def test_a_pattern_is_read_once():
    pool = TermPool()
    assert parse_regex("^a+$", pool, True) is parse_regex("^a+$", pool, True)
    assert parse_regex("^a+$", pool, True) is parse_regex("a+", pool, False)


@pytest.mark.parametrize("pattern", ["^a$", "^(a|b)+$", "a", "^a|b$", "\\bab", "(?<!a)b", "(^|,)a"])
def test_what_needs_no_assertion_has_none(pattern):
    term = parse_regex(pattern, POOL, search=True)
    assert term.is_plain or not any(
        type(part).__name__ == "Placed" for part in (term, *getattr(term, "parts", ()))
    )


@pytest.mark.parametrize(
    "pattern", ["a^b", "$a", "(?=a)b", "a(?<!a)", "[^\\s\\S]", "a\\bb", "a\\B-"]
)
def test_a_pattern_that_matches_nothing_is_empty(pattern):
    assert is_empty(parse_regex(pattern, POOL, search=True))


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("(a)\\1", "back-references"),
        ("(?P<x>a)(?P=x)", "back-references"),
        ("(?<x>a)\\k<x>", "back-references"),
        ("(?R)?a", "recursion"),
        ("(?P>x)a", "recursion"),
        ("(a)(?(1)b)", "conditional"),
        ("a\\G", "anchors to the last match"),
        ("a\\Kb", "matches that begin anew"),
        ("(?>a)", "atomic groups"),
        ("a++", "possessive"),
        ("a{2}+", "possessive"),
        ("(?x)a", "flag 'x'"),
        ("(?-u)a", "flag 'u'"),
        ("(?^a)", "other groups"),
        ("(*FAIL)", "verbs"),
        ("[]a]", "closing bracket"),
        ("[^]", "closing bracket"),
        ("\\p{Klingon}", "Unicode properties like 'Klingon'"),
        ("a{,3}", "without a lower bound"),
        ("(?<=a$)b", "look ahead"),
        ("(?<=a(?=b))b", "look ahead"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(pattern, what):
    with pytest.raises(UnsupportedSchemaError, match=what) as refusal:
        parse_regex(pattern, POOL, search=True, pointer="/pattern")
    assert refusal.value.keyword == "pattern"
    assert refusal.value.json_pointer == "/pattern"


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
        ("\\b+", "nothing to repeat"),
        ("a**", "multiple repeat"),
        ("a{2}{3}", "multiple repeat"),
        ("a{3,2}", "wrong order"),
        ("[b-a]", "wrong order"),
        ("a\\", "backslash at the end"),
        ("\\y", r"unknown escape \\y"),
        ("\\u{110000}", "no such character"),
        ("\\xg1", "unknown escape"),
        ("(?=a", "missing"),
    ],
)
def test_what_is_not_a_regular_expression_is_refused_with_the_reason(pattern, reason):
    with pytest.raises(GrammarError, match=reason) as refusal:
        parse_regex(pattern, POOL, search=True)
    assert not isinstance(refusal.value, UnsupportedSchemaError | GrammarLimitError)


@pytest.mark.parametrize(
    ("pattern", "limit"),
    [
        ("(" * 65 + ")" * 65, 64),
        ("(" * 10_000, 64),
        ("(?=" * 10_000, 64),
        (f"a{{{MAX_REPEAT + 1}}}", MAX_REPEAT),
        ("a{" + "9" * 5000 + "}", MAX_REPEAT),
        ("[ab]" * (MAX_ATOMS + 1), MAX_ATOMS),
    ],
)
def test_limits_are_named_with_what_was_given(pattern, limit):
    with pytest.raises(GrammarLimitError) as refusal:
        parse_regex(pattern, TermPool(), search=True)
    assert refusal.value.limit == limit


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a+)+$", "a" * 500),
        ("(a|aa)+$", "a" * 500),
        ("^(([a-z])+.)+[A-Z]([a-z])+$", "a" * 500),
        ("(.*a){20}x", "a" * 500),
        ("^(a?){100000}a{100000}$", "a" * 100),
        ("^(a{1,100000}){1,100000}$", "a" * 100),
        ("^((a{0,100}){0,100}b){0,100}$", "aab" * 30),
        ("(a|b)*a(a|b){20}", "ab" * 100),
        ("^(?=.*a.{9}$)(?=.*b.{8}$)(?!.*c.{7}$).*", "ab" * 20),
        ("(" * 64 + "a|b" + ")*c" * 64, "ac" * 20),
        ("a" * 100_000, "a" * 100),
        ("^" * 20_000, ""),
        ("a?" * 1000, "a" * 20),
        ("(a?b?)" * 300, "ab" * 20),
        ("|".join(f"w{n}x" for n in range(20_000)), "w77x"),
        ("((?!ab).)*" * 30, "ac" * 50),
        ("(?:\\b\\w+\\b ?){1,500}$", "ab " * 20),
    ],
)
def test_patterns_that_take_backtracking_engines_long_stay_small(pattern, text):
    pool = TermPool()
    dfa = TextDfa(parse_regex(pattern, pool, search=True))
    state = dfa.start
    for character in text:
        state = dfa.row(state)[dfa._partition.class_of(ord(character))]
    assert state != 0
    assert len(pool) < 100_000


@settings(max_examples=300)
@given(st.text("ab1^$.*+?()[]{}|\\=!<>:-,dwsbBpPukxim#é\ud800\n", max_size=12))
def test_any_text_is_a_pattern_or_an_error_of_this_library(pattern):
    with contextlib.suppress(GrammarError):
        parse_regex(pattern, TermPool(), search=True)


def test_scripts_and_alphabetic_characters_fit_what_python_knows_of_them():
    for point in range(0x30000):
        character = chr(point)
        name, category = unicodedata.name(character, ""), unicodedata.category(character)
        if category[0] == "L" or category == "Nl":
            assert contains("Alphabetic", point), name
        if category == "Cn":
            assert contains("Script=Unknown", point) or unicodedata.unidata_version != "14.0.0"
        for script in ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "HIRAGANA"):
            if name.startswith(f"{script} SMALL LETTER") or name.startswith(f"{script} LETTER"):
                assert contains(f"Script={script.title()}", point), name
                assert contains(f"scx={script.title()}", point), name


def contains(name, point):
    ranges = property_ranges(name)
    at = bisect_right(ranges, (point, 0x110000)) - 1
    return at >= 0 and point <= ranges[at][1]
