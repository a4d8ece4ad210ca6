"""The tokens that are found along a string, against a look at every token there is."""

import json
import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampler.grammar.engine.spelled import Spelled, split
from sampler.grammar.engine.structure import Structure
from sampler.grammar.engine.tokens import TokenTrie

PIECES = [
    *(bytes((byte,)) for byte in range(256)),
    *(b"a", b"ab", b'a"', b'",', b'"]', b"a\\", b"\\u", b"\\u0", b"u00", b"0061", b"\\n", b'n"'),
    *(b"\\u00E9", b"e9", b"E9b", b"\\ud83d", b"\\uDE00", b"\\ud83d\\ude00", b'00"', b"\\/", b'\\"'),
    *("é".encode(), "éa".encode(), "😀".encode(), b"\x98\x80a", b'"a', b'"a"', b', "', b', "\\u00'),
]
WHOLE = re.compile(rb'(?:[^"\\]|\\.)*"', re.DOTALL)
TEXTS = st.text(st.sampled_from('ab"\\/\n\x7fé😀日'), max_size=4)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Structure:
    vocabulary = SimpleNamespace(
        size=len(PIECES) + 1,
        eos_token_ids=(len(PIECES),),
        special_token_ids=frozenset([len(PIECES)]),
        token_bytes=[*PIECES, b"<eos>"].__getitem__,
    )
    return Structure(TokenTrie(vocabulary, tmp_path_factory.mktemp("tokens")))


def begins(written: bytes, text: str) -> bool:
    """Whether `written`, behind a quotation mark, can be a part of the string `text`, or all."""
    whole = WHOLE.match(written)
    if whole is not None:
        try:
            return bool(json.loads(b'"' + whole[0]) == text)
        except ValueError:
            return False
    return any(re.fullmatch(pattern, written) for pattern in parts_of(text))


def parts_of(text: str) -> list[bytes]:
    """Regular expressions of what may be written of `text` before its end."""
    patterns, before = [b""], b""
    for character in text:
        ways = []
        if character not in '"\\\n':
            ways.append([re.escape(bytes((byte,))) for byte in character.encode()])
        escaped = json.dumps(character)[1:-1] if character != "/" else r"\/"
        if len(escaped) == 2:
            ways.append([re.escape(byte.encode()) for byte in escaped])
        units = character.encode("utf-16-be").hex()
        code = "".join("\\u" + units[at : at + 4] for at in range(0, len(units), 4))
        ways.append(
            [
                f"[{d}{d.upper()}]".encode() if d.isalnum() and d != "u" else re.escape(d.encode())
                for d in code
            ]
        )
        patterns += [before + b"".join(way[:size]) for way in ways for size in range(1, len(way))]
        before += b"(?:" + b"|".join(map(b"".join, ways)) + b")"
        patterns.append(before)
    return patterns


@given(TEXTS, st.sampled_from([b"", b'"', b', "']), st.data())
def test_every_spelling_of_a_string_is_found(
    tokens: Structure, text: str, lead: bytes, data: st.DataObject
) -> None:
    spelled = b"".join(data.draw(st.sampled_from(ways_of(character))) for character in text)
    written = b"" if lead else spelled[: data.draw(st.integers(0, len(spelled)))]
    begun, partial = split(b'"' + written)
    assert text.startswith(begun)
    along = Spelled(tokens).along(lead, partial, text[len(begun) :])
    wanted = {
        token_id
        for token_id in range(len(PIECES))
        if tokens.token_bytes(token_id).startswith(lead)
        and begins(written + tokens.token_bytes(token_id)[len(lead) :], text)
    }
    assert {*along.within, *along.closing} == wanted
    assert set(along.closing) == {
        token_id
        for token_id in wanted
        if WHOLE.match(written + tokens.token_bytes(token_id)[len(lead) :])
    }


def ways_of(character: str) -> list[bytes]:
    """Some spellings of a character."""
    ways = [json.dumps(character)[1:-1].encode()]
    if character not in '"\\\n':
        ways.append(character.encode())
    units = character.encode("utf-16-be").hex()
    ways.append("".join("\\u" + units[at : at + 4] for at in range(0, len(units), 4)).encode())
    return [*ways, ways[-1].upper().replace(b"\\U", b"\\u")]
