from collections.abc import Iterable, Sequence
from functools import cache
from itertools import product

import pytest
from example_tokenizers import (
    SAMPLES,
    byte_level_of,
    shared_tokenizer,
    trained_byte_fallback,
    trained_byte_level,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.text import reference_text

from sampler.detokenizer import TextStream, TokenText
from sampler.errors import InvalidParameterError
from sampler.stopping import StopStrings
from sampler.vocabulary import Vocabulary

TOKENIZERS = {
    "byte-level": trained_byte_level,
    "byte-fallback": trained_byte_fallback,
    "qwen3": lambda: shared_tokenizer("qwen3"),
    "deepseek-v3": lambda: shared_tokenizer("deepseek-v3"),
}


@cache
def vocabulary_of(name: str) -> Vocabulary:
    return Vocabulary.from_tokenizer(TOKENIZERS[name]())


@cache
def vocabulary_with(tokens: tuple[bytes, ...], specials: tuple[str, ...] = ()) -> Vocabulary:
    return Vocabulary.from_tokenizer(byte_level_of(tokens, specials))


@cache
def byte_vocabulary() -> Vocabulary:
    return vocabulary_with(tuple(bytes([byte]) for byte in range(256)))


def push_all(stream: TextStream, token_ids: Sequence[int]) -> list[TokenText]:
    """The events up to the stop string, or of all tokens, the last of which is pushed as such."""
    events = []
    for count, token_id in enumerate(token_ids, start=1):
        events.append(stream.push(token_id, last=count == len(token_ids)))
        if events[-1].stopped:
            break
    return events


def joined(events: Iterable[TokenText]) -> str:
    return "".join(event.text for event in events if not event.special)


def run(
    tokens: Sequence[bytes | str], stop: Sequence[str] = (), trim_stop: bool = False
) -> tuple[list[TokenText], str]:
    """The events and text of a sequence written as bytes, or str for a special token."""
    plain = tuple(dict.fromkeys(token for token in tokens if isinstance(token, bytes)))
    specials = tuple(dict.fromkeys(token for token in tokens if isinstance(token, str)))
    vocabulary = vocabulary_with(plain, specials)
    ids = {token: token_id for token_id, token in enumerate([*plain, *specials])}
    stream = TextStream(vocabulary, stop, trim_stop)
    events = push_all(stream, [ids[token] for token in tokens])
    assert joined(events) == stream.text
    return events, stream.text


def texts(events: Iterable[TokenText]) -> list[str]:
    return [event.text for event in events]


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_text_cut_at_every_token_loses_nothing(name, sample):
    vocabulary, text = vocabulary_of(name), SAMPLES[sample]
    token_ids = vocabulary.encode(text)
    if name == "qwen3":  # its normalizer composes characters first
        text = vocabulary.tokenizer.normalizer.normalize_str(text)
    data = [vocabulary.token_bytes(token_id) for token_id in token_ids]
    for count in range(1, len(token_ids) + 1):
        stream = TextStream(vocabulary)
        events = push_all(stream, token_ids[:count])
        assert len(events) == count
        assert joined(events) == stream.text == b"".join(data[:count]).decode("utf-8", "replace")
    prefix = " " if name == "byte-fallback" and not text.startswith("▁") else ""
    assert stream.text == prefix + text
    assert stream.text == prefix + vocabulary.tokenizer.decode(token_ids)


def test_a_character_belongs_to_the_token_that_completes_it():
    events, text = run([b"ok \xf0", b"\x9f\x91", b"\x8d\xf0\x9f", b"\x8f\xbd!"])
    assert texts(events) == ["ok ", "", "👍", "🏽!"]
    assert text == "ok 👍🏽!"


def test_a_character_in_single_bytes_is_whole_at_the_start():
    events, _ = run([b"\xf0", b"\x9f", b"\x98", b"\x80", b" ok"])
    assert texts(events) == ["", "", "", "😀", " ok"]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([b"a\xe2", b"\x82"], ["a", "\ufffd"]),
        ([b"a", b"\xf0\x9f\x98"], ["a", "\ufffd"]),
        ([b"\xe2\x82", b"b", b"c"], ["", "\ufffdb", "c"]),
        ([b"\x80", b"\x80a", b"b"], ["\ufffd", "\ufffda", "b"]),
        ([b"\xff\xfe", b"b"], ["\ufffd\ufffd", "b"]),
        ([b"\xed", b"\xa0", b"\x80", b"."], ["", "\ufffd\ufffd", "\ufffd", "."]),
        ([b"\xf0\x9f", b"\xf0\x9f", b"\x98", b"\x80"], ["", "\ufffd", "", "😀"]),
        ([b"\xef\xbf\xbd", b"\xef\xbf", b"\xbd"], ["\ufffd", "", "\ufffd"]),
    ],
)
def test_invalid_bytes_are_replaced_at_once_and_incomplete_ones_at_the_end(tokens, expected):
    assert texts(run(tokens)[0]) == expected


def test_single_bytes_of_every_kind_in_every_order_are_read_as_python_reads_them():
    kinds = b"A\x80\x9f\xbf\xc1\xc3\xe0\xe2\xed\xf0\xf4\xf5"
    for data in map(bytes, product(kinds, repeat=4)):
        stream = TextStream(byte_vocabulary())
        push_all(stream, data)
        assert stream.text == data.decode("utf-8", "replace"), data


@given(st.lists(st.integers(0, 255), min_size=1, max_size=60))
def test_without_stop_strings_the_text_is_the_bytes_decoded(data):
    stream = TextStream(byte_vocabulary())
    events = push_all(stream, data)
    assert joined(events) == stream.text == bytes(data).decode("utf-8", "replace")


def test_special_tokens_show_their_content_and_do_not_interrupt_a_character():
    events, text = run([b"a\xe2", "<sep>", b"\x82\xac", "<sep>", b"b"])
    assert texts(events) == ["a", "<sep>", "€", "<sep>", "b"]
    assert [event.special for event in events] == [False, True, False, True, False]
    assert text == "a€b"


def test_a_last_special_token_shows_its_content_or_what_is_still_held():
    assert run([b"a", "</s>"])[0][-1] == TokenText("</s>", True, False)
    assert run([b"a\xe2", "</s>"]) == ([("a", False, False), ("\ufffd", False, False)], "a\ufffd")
    events, text = run([b"the en", "</s>"], stop=["end"], trim_stop=True)
    assert events == [("the ", False, False), ("en", False, False)]
    assert text == "the en"


@pytest.mark.parametrize(
    ("tokens", "stop", "whole", "trimmed"),
    [
        ([b"in", b" Paris", b"."], ["Pari"], ["in", " Pari"], ["in", " "]),
        ([b"in", b" Paris.", b"x"], ["aris"], ["in", " Paris"], ["in", " P"]),
        ([b"x\n", b"\nUs", b"er: y"], ["\n\nUser:"], ["x\n", "\nUs", "er:"], ["x", "", ""]),
        ([b"x\n", b"\nUs", b"e", b"d"], ["\n\nUser:"], None, ["x", "", "", "\n\nUsed"]),
        ([b"aa", b"a", b"ab", b"c"], ["aab"], ["aa", "a", "ab"], ["", "a", "a"]),
        ([b"abc", b"d"], ["b", "bc", "abcd"], ["ab"], ["a"]),
        ([b"ab", b"c"], ["abc", "bc"], ["ab", "c"], ["", ""]),
        ([b"\xf0\x9f", b"\x91\x8d", b"\xf0\x9f"], ["👍"], ["", "👍"], ["", ""]),
        ([b"a\xe2", b"b", b"c"], ["\ufffdb"], ["a", "\ufffdb"], ["a", ""]),
        ([b"a\xe2\x82"], ["\ufffd"], ["a\ufffd"], ["a"]),
    ],
)
def test_text_ends_at_the_stop_string(tokens, stop, whole, trimmed):
    events, text = run(tokens, stop)
    if whole is None:
        assert text.encode() == b"".join(tokens)
        assert not any(event.stopped for event in events)
    else:
        assert texts(events) == whole
        assert [event.stopped for event in events] == [False] * (len(whole) - 1) + [True]
    assert texts(run(tokens, stop, trim_stop=True)[0]) == trimmed


def test_bytes_after_the_stop_string_are_dropped_with_the_rest_of_its_token():
    assert run([b"ab\xe2", b"\x82\xac"], ["b"]) == ([("ab", False, True)], "ab")
    assert run([b"ab\xe2"], ["b"]) == ([("ab", False, True)], "ab")


@pytest.mark.parametrize("trim_stop", [False, True])
def test_a_special_token_can_be_a_stop_string_and_is_no_part_of_the_text(trim_stop):
    events, text = run([b"done", "<|im_end|>", b"x"], ["<|im_end|>"], trim_stop)
    assert events == [("done", False, False), ("<|im_end|>", True, True)]
    assert text == "done"


@pytest.mark.parametrize("trim_stop", [False, True])
def test_an_incomplete_character_before_a_special_stop_string_is_kept(trim_stop):
    events, text = run([b"a\xe2", "<s>", "<t>", b"x"], ["<s><t>"], trim_stop)
    assert events == [("a", False, False), ("<s>", True, False), ("\ufffd", False, True)]
    assert text == "a\ufffd"


def test_an_incomplete_character_inside_a_trimmed_stop_string_goes_with_it():
    assert run([b"ab\xe2", "<s>"], ["b<s>"])[1] == "ab\ufffd"
    assert run([b"ab\xe2", "<s>"], ["b<s>"], trim_stop=True)[1] == "a"
    assert run([b"ab\xe2", "<s>", b"\x82", "<s>"], ["<s><s>"], trim_stop=True)[1] == "ab\ufffd"
    assert run([b"ab", "<s>", b"\xe2", "<t>"], ["<s><t>"], trim_stop=True)[1] == "ab"
    assert run([b"\xe2", "<s>", b"\x82\xac\xe2", "<t>"], ["€<t>"], trim_stop=True)[1] == ""


def test_held_text_passes_over_special_tokens():
    tokens = [b"the en", "<s>", b"x", b"y"]
    assert texts(run(tokens, ["end"], trim_stop=True)[0]) == ["the ", "<s>", "enx", "y"]
    assert texts(run(tokens, ["en<s>y"], trim_stop=True)[0]) == ["the ", "<s>", "enx", "y"]
    assert texts(run(tokens, ["en<s>x"], trim_stop=True)[0]) == ["the ", "<s>", ""]


def test_a_stop_string_that_the_last_token_completes_still_cuts():
    stream = TextStream(vocabulary_with((b"the ", b"end.")), ["end"])
    stream.push(0)
    assert stream.push(1, last=True) == TokenText("end", False, True)
    assert stream.text == "the end"


@pytest.mark.parametrize("trim_stop", [False, True])
@pytest.mark.parametrize(
    ("first", "event", "text"),
    [
        (b"ab", ("ab", False, True), "ab"),
        (b"a\xe2", ("a\ufffd", False, True), "a\ufffd"),
        ("<s>", ("<s>", True, True), ""),
    ],
)
def test_an_empty_stop_string_matches_at_the_end_of_the_first_token(trim_stop, first, event, text):
    assert run([first, b"c"], ["", "abc"], trim_stop) == ([event], text)


def test_a_stop_string_inside_the_first_token_ends_before_an_empty_one():
    assert run([b"abc", b"d"], ["", "b"])[1] == "ab"
    assert run([b"abc", b"d"], ["", "b"], trim_stop=True)[1] == "a"


def test_nothing_follows_the_last_token():
    for stop, last in ((["a"], False), ([], True)):
        stream = TextStream(vocabulary_with((b"a",)), stop)
        assert not stream.finished
        stream.push(0, last=last)
        assert stream.finished
        with pytest.raises(RuntimeError, match="last"):
            stream.push(0)


def test_an_id_out_of_range_is_named():
    with pytest.raises(InvalidParameterError, match="`token_id`"):
        TextStream(vocabulary_with((b"a",))).push(1)


def test_sequences_share_their_stop_strings():
    vocabulary, stop = vocabulary_with((b"a", b"b", b"c")), StopStrings(["ab"])
    one, other = TextStream(vocabulary, stop), TextStream(vocabulary, stop)
    assert [one.push(0).stopped, other.push(1).stopped] == [False, False]
    assert [one.push(1).stopped, other.push(2).stopped] == [True, False]


PIECES = (b"a", b"b", b"ab", b"ba c", b"<s", b">", b"\xe2\x82\xac", b"\xe2", b"\x82", b"\xac")
PIECES += (b"a\xf0\x9f", b"\x91\x8d", b"\xff", b"b\xe2\x82", b"\xed", b"\xa0", "👍🏽".encode())
SPECIALS = ("<s>", "</s>", "a<")


@st.composite
def sequences(draw: st.DrawFn) -> tuple[list[int], list[str]]:
    """Token ids, and stop strings of which most are somewhere in the text."""
    token_ids = draw(st.lists(st.integers(0, len(PIECES) + len(SPECIALS) - 1), min_size=1))
    contents = [*PIECES, *(special.encode() for special in SPECIALS)]
    visible = b"".join(contents[i] for i in token_ids).decode("utf-8", "replace")
    spans = st.tuples(st.integers(0, len(visible)), st.integers(1, 8))
    inside = spans.map(lambda span: visible[span[0] : sum(span)])
    others = st.text("ab c<s>/€\ufffd", min_size=1, max_size=5)
    stops = draw(st.lists(st.one_of(inside.filter(bool), others), max_size=3))
    return token_ids, stops + ([""] if draw(st.integers(0, 19)) == 0 else [])


@settings(max_examples=1000, deadline=None)
@given(sequences(), st.booleans())
def test_the_stream_agrees_with_the_rules_on_the_whole_text(sequence, trim_stop):
    token_ids, stops = sequence
    vocabulary = vocabulary_with(PIECES, SPECIALS)
    special = vocabulary.special_token_ids
    tokens = [(vocabulary.token_bytes(i), i in special) for i in token_ids]
    expected = reference_text(tokens, stops, trim_stop)
    stream = TextStream(vocabulary, stops, trim_stop)
    events = push_all(stream, token_ids)
    assert [tuple(event) for event in events] == expected.events
    assert joined(events) == stream.text == expected.text


@given(sequences())
def test_without_stop_strings_the_text_is_that_of_the_plain_tokens(sequence):
    vocabulary = vocabulary_with(PIECES, SPECIALS)
    plain = [i for i in sequence[0] if i not in vocabulary.special_token_ids]
    stream = TextStream(vocabulary, trim_stop=True)
    push_all(stream, sequence[0])
    data = b"".join(vocabulary.token_bytes(i) for i in plain)
    assert stream.text == data.decode("utf-8", "replace")
