"""Formats as languages of texts, against independent readers of the same standards."""

import datetime
import functools
import importlib
import ipaddress
import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampler.grammar.outlines.schema_formats import PATTERNS
from sampler.grammar.text.derivatives import matches
from sampler.grammar.text.dfa import TextDfa
from sampler.grammar.text.formats import FORMATS, NARROWED
from sampler.grammar.text.terms import TermPool

POOL = TermPool()
SUITE = Path(__file__).parents[3] / "shared" / "json-schema-test-suite"
CASES = SUITE / "tests" / "draft2020-12" / "optional" / "format"


def is_format(name, text):
    return matches(FORMATS[name](POOL), text)


@functools.cache
def automaton(name):
    return TextDfa(FORMATS[name](POOL))


def random_text(name, seed):
    """A text of a format; after some characters the shortest way is taken."""
    dfa, choice, text = automaton(name), random.Random(seed), ""
    patience, state = choice.choice([2, 8, 30, 70]), dfa.start
    ends = [*dfa.class_starts[1:], 0x110000]
    runs = list(zip(dfa.class_starts, ends, dfa.class_ids, strict=True))
    while True:
        row = dfa.row(state)
        following = [run for run in runs if row[run[2]]]
        is_over = len(text) > patience or choice.random() < 0.1
        if not following or (is_over and dfa.is_accepting(state)):
            assert dfa.is_accepting(state), text
            return text
        if is_over:
            following = [min(following, key=lambda run: dfa.shortest(row[run[2]]))]
        first, end, number = choice.choice(following)
        text += chr(choice.randrange(first, end))
        state = row[number]


def changed(text, choice):
    """`text` with a few of its characters taken away, put in, or replaced."""
    for _ in range(choice.randrange(1, 3)):
        at = choice.randrange(len(text) + 1)
        put = choice.choice(["", choice.choice(text + "-.:/@%#?[]{}()0123456789aXTtZz_~ ")])
        text = text[:at] + put + text[at + choice.randrange(2) :]
    return text


def is_date(text):
    try:
        return bool(datetime.datetime.strptime(text, "%Y-%m-%d")) and len(text) == 10
    except ValueError:
        return False


def test_every_day_of_four_centuries_and_no_other():
    day, days = datetime.date(1899, 12, 31), set()
    while day.year < 2301:
        days.add(day.isoformat())
        day += datetime.timedelta(days=1)
    for year in (*range(1900, 2301, 4), 1901, 2023, 2101, 2202, 2299):
        for month in range(14):
            for number in (0, 1, 9, 10, 28, 29, 30, 31, 32):
                text = f"{year}-{month:02}-{number:02}"
                assert is_format("date", text) == (text in days), text


@given(year=st.integers(0, 9999))
def test_leap_days_of_all_years(year):
    assert is_format("date", f"{year:04}-02-29") == is_date(f"{year:04}-02-29")


@given(
    minute=st.integers(0, 1439),
    offset=st.integers(0, 1439),
    sign=st.sampled_from("+-"),
    fraction=st.sampled_from(["", ".5", ".000"]),
)
def test_leap_seconds_are_the_last_of_a_day_in_utc(minute, offset, sign, fraction):
    def clock(minutes):
        return f"{minutes // 60:02}:{minutes % 60:02}"

    last = (1439 + (offset if sign == "+" else -offset)) % 1440
    for local in {minute, last}:
        text = f"{clock(local)}:60{fraction}{sign}{clock(offset)}"
        assert is_format("time", text) == (local == last)
        ends = [day for day in ("06-30", "07-01", "12-31", "01-01", "03-31")]
        is_next_day = sign == "+" and offset > 0
        expected = ["07-01", "01-01"] if is_next_day else ["06-30", "12-31"]
        taken = [day for day in ends if is_format("date-time", f"2016-{day}T{text}")]
        assert sorted(taken) == (sorted(expected) if local == last else [])


@pytest.mark.parametrize(
    ("name", "valid", "invalid"),
    [
        (
            "time",
            ["00:00:00Z", "23:59:59.125+05:30", "12:00:00-23:59", "01:02:03.0z", "23:59:60Z"],
            ["24:00:00Z", "12:60:00Z", "01:02:03", "1:2:3Z", "01:02:03.Z", "01:02:03+24:00"],
        ),
        ("time", ["15:59:60.5-08:00"], ["23:59:60.Z", "22:59:60Z", "23:59:61Z", "01:02Z"]),
        (
            "date-time",
            ["2024-02-29T00:00:00Z", "1998-12-31t15:59:60.1-08:00", "2017-01-01T05:29:60+05:30"],
            ["2023-02-29T00:00:00Z", "2024-02-29 00:00:00Z", "1998-12-30T23:59:60Z"],
        ),
        (
            "duration",
            ["P1D", "PT1H2M3S", "P1Y2M3DT4H", "P2W", "PT5M", "P3M", "PT1H2M", "P1Y", "P1M2D"],
            ["P", "PT", "P1W1D", "1D", "P1D2M", "P1YT", "PT1H3S", "P1Y1D", "P1.5D", "p1d"],
        ),
        (
            "uuid",
            ["00000000-0000-0000-0000-00000000000f", "2EB8AA08-AA98-11EA-B4AA-73B441D16380"],
            ["00000000000000000000000000000000", "{00000000-0000-0000-0000-00000000000f}"],
        ),
        (
            "hostname",
            ["a", "x-1.example.org", "localhost", "1a.2b", "3.c", "a--b.c", "a" * 63 + ".b"],
            ["-a", "a-", "a..b", "a_b", "", "a.", "1.2.3.4", "xn--a", "a.XN--9n2bp8q", "a" * 64],
        ),
        ("hostname", [".".join(["abcd"] * 50) + ".ab"], [".".join(["abcd"] * 50) + ".abcd"]),
        (
            "idn-hostname",
            ["例え.jp", "한국。한국", "straße.de", "Example.org", "अ.भारत", "אב.גד", "a.אב1"],
            ["a b", "ａ", "\u0301a", "Ä.de", "אa", "0a.אב", "l·x", "xn--a", "ab--ü", "ü-", "ü.1"],
        ),
        (
            "email",
            ["a@b.org", "first.last+tag@x.y", '"a b"@c', "a@[127.0.0.1]", "a@[IPv6:::1]", "a@1"],
            ["a", "@b", "a@", "a b@c", ".a@b", "a@b..c", "a.@b", "a@b@c", "a@[::1]", '"a@b', "ä@b"],
        ),
        (
            "email",
            ["a" * 64 + "@b"],
            ["a" * 65 + "@b", "a@" + "b" * 64, "a@[IPv6:1::2:3:4:5:6:7:8]"],
        ),
        (
            "idn-email",
            ["실례@실례.테스트", "δοκιμή@example.com", "é" * 32 + "@b", "日" * 21 + "a@b"],
            ["a＠b", "é" * 32 + "a@b", "日" * 21 + "aa@b", "a@ö-"],
        ),
        (
            "uri",
            [
                "http://a.org",
                "https://a.b/c/d?e=f#g",
                "urn:x:y",
                "mailto:a@b",
                "ftp:/a",
                "a:",
                "http://[::1]:80/",
                "http://u:p@h:8/%20",
                "file:///x",
                "http://[v1.a:b]/",
            ],
            [
                "a",
                "//a",
                "http://a b",
                "http://a/%2",
                "1:a",
                "http://[::1",
                "a:b c",
                "http://ä",
                "http://a/[",
                "a:#b#c",
                "http://a:b",
                "a_b:c",
            ],
        ),
        (
            "uri-reference",
            ["", "#", "a/b", "/a", "//h/p", "?q", "./a:b", "http://a", "..", "a//b", "//"],
            ["a b", "\\a", "1:b", "a[", "%zz", "//a@b@c", "#a#"],
        ),
        (
            "iri",
            ["http://例え.jp/ä?q=\ue000#é"],
            ["http://a/\ue000", "a:\u200e", "例え", "a:\ufffe"],
        ),
        ("iri-reference", ["例え", "/ä#ö", ""], ["ä b", "#\ue000", "ä:b c"]),
        (
            "uri-template",
            ["", "a{b}c", "/x{?y,z*}{#f:12}", "{+a.b_c,%41}", "ä'%20{&x}"],
            ["{", "}", "{}", "{a..b}", "{a:0}", "{a:12345}", "{a,}", "{=a}", "a b", "%2", "{a b}"],
        ),
        ("json-pointer", ["", "/", "/a/b~0~1", "/ ", '/"\\\n😀'], ["a", "/~2", "/~", "#/a"]),
        (
            "relative-json-pointer",
            ["0", "1/a", "12#", "100/"],
            ["", "01", "/a", "-1", "1#/a", "0+1"],
        ),
        (
            "regex",
            [
                r"^[a-zA-Z0-9_-]{3,16}$",
                "",
                r"(a|b(?:c)*?)+\s\d",
                r"[^\]\-x]",
                "(?!a)(?<=bc)d",
                r"a{1}b{2,}c{0,10}",
                r"\x41\u00e9\/",
                "((((a))))",
                "a||b",
                "[-+.]",
                "[+-]",
            ],
            [
                "*",
                "[",
                "\\",
                "(",
                ")",
                "a**",
                "a{2,1}",
                "[z-a]",
                "[]",
                "(?<n>a)",
                r"\1",
                "a{,3}",
                "{",
                "]",
                r"\a",
                "(((((a)))))",
                "(?i)a",
                "[a-]b-c]",
            ],
        ),
    ],
)
def test_texts_of_formats(name, valid, invalid):
    for text in valid:
        assert is_format(name, text), text
    for text in invalid:
        assert not is_format(name, text), text


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_no_text_is_taken_that_the_official_suite_calls_wrong(name):
    path = CASES / f"{name}.json"
    if not path.exists():
        pytest.skip("the JSON Schema Test Suite is not at hand")
    for group in json.loads(path.read_text("utf-8")):
        for case in group["tests"]:
            if isinstance(case["data"], str):
                taken = is_format(name, case["data"])
                assert taken <= case["valid"], case
                assert taken == case["valid"] or name in NARROWED, case


# What the readers that jsonschema asks refuse though the standards have it: leap seconds, zeros
# within a number of levels, and variables of templates with escapes in the middle.
MISREAD = {
    "time": re.compile(":60"),
    "date-time": re.compile(":60"),
    "relative-json-pointer": re.compile("[0-9]*0[0-9]"),
    "uri-template": re.compile(r"\{[^}]*%"),
}


def reader(name):
    """What jsonschema reads a format with, or None without the package that it takes."""
    jsonschema = importlib.import_module("jsonschema")
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return checker if name in checker.checkers else None


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of `re`, on sets that will mean other things
@pytest.mark.parametrize("name", sorted(FORMATS))
def test_readers_of_a_format_take_what_it_has(name):
    checker = reader(name)
    if checker is None:
        pytest.skip(f"jsonschema does not read {name} without another package")
    for seed in range(60):
        text = random_text(name, seed)
        if name not in MISREAD or not MISREAD[name].search(text):
            assert checker.conforms(text, name), text


@pytest.mark.parametrize("name", ["date", "time", "date-time", "ipv4", "ipv6"])
def test_a_format_has_what_its_readers_take(name):
    checker = reader(name)
    if checker is None:
        pytest.skip(f"jsonschema does not read {name} without another package")
    choice = random.Random(1)
    for seed in range(40):
        for _ in range(10):
            text = changed(random_text(name, seed), choice)
            if name not in MISREAD or not MISREAD[name].search(text):
                assert is_format(name, text) == checker.conforms(text, name), text


@given(groups=st.lists(st.sampled_from(["", "0", "ab", "12F4", "12345", "1.2.3.4"]), max_size=10))
@settings(max_examples=300)
def test_texts_of_groups_are_ipv6_addresses_or_not(groups):
    text = ":".join(groups)
    try:
        ipaddress.IPv6Address(text)
        expected = True
    except ValueError:
        expected = False
    assert is_format("ipv6", text) == expected


@given(
    parts=st.lists(
        st.sampled_from(["0", "9", "10", "99", "199", "249", "255", "256", "00", "1000", ""])
    )
)
def test_texts_of_numbers_are_ipv4_addresses_or_not(parts):
    text = ".".join(parts)
    try:
        ipaddress.IPv4Address(text)
        expected = True
    except ValueError:
        expected = False
    assert is_format("ipv4", text) == expected


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_formats_have_at_least_what_patterns_said(name):
    for seed in range(30):
        text = random_text(name, seed)
        assert is_format(name, text)
    for text in texts_of_pattern(PATTERNS[name]):
        assert is_format(name, text), text


def texts_of_pattern(pattern):
    found = []

    @settings(max_examples=50, database=None)
    @given(st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True))
    def collect(text):
        found.append(text)

    collect()
    return found


def test_labels_beyond_ascii_fit_into_sixty_three_octets():
    longest = 0
    for seed in range(300):
        for label in re.split("[.\u3002\uff0e\uff61]", random_text("idn-hostname", seed)):
            encoded = label.encode("punycode").decode()
            longest = max(longest, len(label if label.isascii() else f"xn--{encoded}"))
    spread = "\u00df\u3041\u0101\uac00\u0430\u9fa0\u0561\u1e01"  # one after the other far apart
    for label in (
        spread + "a" * 14,
        "a" * 14 + spread[::-1],
        "a" * 20 + "\uac00\u00df\u9fa0" + "b" * 20,
        spread + "\u2d00\u0e01\u1100"[:2] + "a" * 2,
    ):
        assert is_format("idn-hostname", label)
        longest = max(longest, 4 + len(label.encode("punycode")))
    assert longest <= 63


def test_formats_are_built_once_for_each_pool():
    assert FORMATS["date"](POOL) is FORMATS["date"](POOL)
    assert FORMATS["date"](TermPool()) is not FORMATS["date"](POOL)


def test_warnings_are_about_formats_that_there_are():
    assert {*NARROWED} <= {*FORMATS}
    assert "date-time" in NARROWED
