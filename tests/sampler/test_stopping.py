import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference.text import first_match, possible_beginning

from sampler.stopping import StopStrings


def scan_pieces(strings: list[str], pieces: list[str]) -> tuple[int, int] | None:
    """Where the first stop string begins and ends in the pieces put together."""
    stop, state, before = StopStrings(strings), 0, 0
    for piece in pieces:
        state, end, length = stop.scan(state, piece)
        if length:
            return before + end - length, before + end
        before += len(piece)
    return None


@pytest.mark.parametrize(
    ("strings", "pieces", "span"),
    [
        (["Paris"], ["in", " Paris", "."], (3, 8)),
        (["Paris"], ["in P", "ar", "", "is."], (3, 8)),
        (["b", "abc"], ["abc"], (1, 2)),
        (["bc", "abc"], ["xab", "c"], (1, 4)),
        (["abcd", "bc"], ["abcd"], (1, 3)),
        (["aab"], ["aaaab"], (2, 5)),
        (["aab", "ab"], ["a", "ab"], (0, 3)),
        (["abab!"], ["ababab!"], (2, 7)),
        (["\n\nUser:"], ["\n", "\n", "\n", "User", ":"], (1, 8)),
        (["👍🏽"], ["👍", "👍", "🏽"], (1, 3)),
        (["none"], ["non", "n", "e"], None),
        ([], ["text"], None),
        ([""], ["text"], None),
    ],
)
def test_the_first_to_end_is_found_and_of_those_the_longest(strings, pieces, span):
    assert scan_pieces(strings, pieces) == span
    assert scan_pieces(strings[::-1], pieces) == span
    assert scan_pieces(strings, list("".join(pieces))) == span


def test_an_empty_string_is_noted():
    assert StopStrings(["a", ""]).has_empty
    assert not StopStrings(["a"]).has_empty


def test_a_stop_string_of_any_length_is_found():
    long = "ab" * 20_000 + "c"
    assert scan_pieces([long], ["ab" * 7, long]) == (14, 14 + len(long))


def test_repetitive_text_takes_steps_in_proportion_to_its_length(monkeypatch):
    steps = 0
    following = StopStrings._next

    def counted(self, state, character):
        nonlocal steps
        while state and character not in self._children[state]:
            state = self._fallbacks[state]
            steps += 1
        steps += 1
        return following(self, state, character)

    stop = StopStrings(["a" * 500 + "b", "a" * 400 + "c"])
    monkeypatch.setattr(StopStrings, "_next", counted)
    text, state = ("a" * 450 + "d") * 20, 0
    for character in text:
        state, _, length = stop.scan(state, character)
        assert not length
    assert steps <= 2 * len(text)


short_text = st.text("abc", max_size=40)


@given(st.lists(st.text("abc", min_size=1, max_size=6), max_size=5), st.lists(short_text))
def test_scanning_agrees_with_the_reference(strings, pieces):
    text = "".join(pieces)
    assert scan_pieces(strings, pieces) == first_match(text, strings)
    stop, state, seen = StopStrings(strings), 0, ""
    for character in text:
        state, _, length = stop.scan(state, character)
        if length:
            break
        seen += character
        assert stop.depths[state] == possible_beginning(seen, strings)
