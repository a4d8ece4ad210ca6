"""Formats against independent readers of the same standards."""

import datetime
import ipaddress
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampler.grammar.outlines.schema_formats import NARROWED, PATTERNS


def is_format(name, text):
    return re.fullmatch(PATTERNS[name], text, re.ASCII) is not None


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
    for year in range(1900, 2301):
        for month in range(14):
            for number in (0, 1, 9, 10, 28, 29, 30, 31, 32):
                text = f"{year}-{month:02}-{number:02}"
                assert is_format("date", text) == (text in days), text


@given(year=st.integers(0, 9999))
def test_leap_days_of_all_years(year):
    assert is_format("date", f"{year:04}-02-29") == is_date(f"{year:04}-02-29")


@pytest.mark.parametrize(
    ("name", "valid", "invalid"),
    [
        ("time", ["00:00:00Z", "23:59:59.125+05:30", "12:00:00-23:59"], ["24:00:00Z", "12:60:00Z"]),
        ("time", ["01:02:03.0Z"], ["01:02:03", "1:2:3Z", "01:02:03.Z", "01:02:03+24:00", "01:02Z"]),
        ("date-time", ["2024-02-29T00:00:00Z"], ["2023-02-29T00:00:00Z", "2024-02-29 00:00:00Z"]),
        (
            "duration",
            ["P1D", "PT1H2M3S", "P1Y2M3DT4H", "P2W", "PT5M", "P3M", "PT1H2M"],
            ["P", "PT"],
        ),
        ("duration", ["P1Y", "P1M2D", "PT1S"], ["P1W1D", "1D", "P1D2M", "P1YT", "PT1H3S", "P1Y1D"]),
        ("uuid", ["00000000-0000-0000-0000-00000000000f"], ["00000000000000000000000000000000"]),
        ("hostname", ["a", "x-1.example.org", "localhost"], ["-a", "a-", "a..b", "a_b", "", "a."]),
        ("email", ["a@b.org", "first.last+tag@x.y"], ["a", "@b", "a@", "a b@c", ".a@b", "a@b..c"]),
        (
            "uri",
            ["http://a.org", "https://a.b/c/d?e=f#g", "http://a:80/"],
            ["a", "http://", "//a", "http://a b"],
        ),
        ("json-pointer", ["", "/", "/a/b~0~1", "/ "], ["a", "/~2", "/~"]),
        ("relative-json-pointer", ["0", "1/a", "12#"], ["", "01", "/a", "-1", "1#/a"]),
    ],
)
def test_texts_of_formats(name, valid, invalid):
    for text in valid:
        assert is_format(name, text), text
    for text in invalid:
        assert not is_format(name, text), text


@given(text=st.from_regex(rf"\A(?:{PATTERNS['ipv6']})\Z"))
def test_ipv6_addresses_are_addresses(text):
    ipaddress.IPv6Address(text)


@given(groups=st.lists(st.sampled_from(["", "0", "ab", "12F4", "12345"]), max_size=10))
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
def test_every_format_is_enforced_and_the_warnings_say_how(name, outlines_compiler, random_text):
    schema = {"type": "string", "format": name}
    grammar = outlines_compiler.compile_json_schema(schema)
    for seed in range(20):
        assert is_format(name, json.loads(random_text(grammar, seed)))
    narrowed = [text for text in grammar.warnings if text.startswith("/format: ")]
    assert narrowed == (
        [f"/format: format {name!r} is narrowed to {NARROWED[name]}"] if name in NARROWED else []
    )


def test_formats_can_be_annotations_only(outlines_compiler, accepts):
    schema = {"type": "string", "format": "date", "pattern": "^a"}
    grammar = outlines_compiler.compile_json_schema(schema, formats="annotate")
    assert accepts(grammar, '"abc"')
    assert not accepts(grammar, '"bc"')
    assert "/format: format 'date' is not enforced" in grammar.warnings
