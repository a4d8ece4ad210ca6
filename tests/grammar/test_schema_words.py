"""Constant strings and keys, followed by the slow matcher byte by byte."""

import json
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from schema_values import FREE, Values, program_of, takes

from sampler.grammar.schema.emit import write_program
from sampler.grammar.schema.layout import Layout
from sampler.grammar.schema.shapes import ObjectShape, Property, Value


def test_words_are_spelled_canonically() -> None:
    words = ("", "a", "ab", 'q"', "\\", "\n", "é", "a/b", "\x7f", "😀")
    program = program_of(Value(words=words))
    for valid in ('""', '"ab"', r'"q\""', r'"\\"', r'"\n"', r'"\u000A"', '"é"', r'"\u00e9"'):
        assert takes(program, valid), valid
    for valid in ('"a/b"', '"\x7f"', r'"\u007f"', '"😀"', r'"\ud83d\uDE00"'):
        assert takes(program, valid), valid
    for invalid in ('"b"', r'"\u0061"', r'"\/"', r'"a\/b"', r'"q\u0022"', '"\n"', '"a'):
        assert not takes(program, invalid), invalid


def test_words_and_keys_are_spelled_in_every_way_in_free_spelling() -> None:
    values = Values()
    word = values.node(Value(words=("a/",)))
    shape = ObjectShape((Property('k"', word, True),), ())
    values.define(values.root, Value(objects=(shape,)))
    program = write_program(values, Layout("compact"), FREE)
    for key, value in product((r'"k\""', r'"\u006b\u0022"'), (r'"a\/"', r'"\u0061\u002F"')):
        assert takes(program, f"{{{key}:{value}}}")
    assert not takes(program, ' {"k\\"":"a/"}')


@given(st.lists(st.text(alphabet='ab"é', max_size=5), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_words_are_taken_and_nothing_else(words: list[str]) -> None:
    program = program_of(Value(words=tuple(words)))
    for letters in range(4):
        for word in map("".join, product('ab"é', repeat=letters)):
            assert takes(program, json.dumps(word, ensure_ascii=False)) == (word in words)
    assert all(takes(program, json.dumps(word)) for word in words)


def test_many_words_and_long_words() -> None:
    many = tuple(f"word {number:x} of many" for number in range(20_000))
    program = program_of(Value(words=many))
    assert takes(program, '"word 4e1f of many"')
    assert not takes(program, '"word 4e20 of many"')
    nested = tuple("a" * length for length in range(600))
    program = program_of(Value(words=(*nested, "b" * 100_000)))
    assert takes(program, f'"{"a" * 599}"')
    assert not takes(program, f'"{"a" * 600}"')
