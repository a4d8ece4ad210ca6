"""The automaton at its edges; that it follows programs rightly is in `test_engine_parity`."""

from functools import partial

import numpy as np
import pytest
from program_strategies import TableDfa

from sampler.errors import GrammarError, GrammarLimitError
from sampler.grammar import allocate_token_bitmask, budget, fill_bitmasks
from sampler.grammar.engine import program as programs
from sampler.grammar.engine.compiled import CompiledGrammar
from sampler.grammar.engine.program import Op, Program, Spelling, Text
from sampler.grammar.engine.text_states import TextStates
from sampler.grammar.engine.tokens import TokenTrie
from sampler.grammar.text.dfa import text_of
from sampler.grammar.text.regex import parse_regex
from sampler.grammar.text.terms import TermPool
from sampler.kernels.grammar import decoder, found, memory
from sampler.limits import AutomatonLimits

ANYTHING = partial(TableDfa, [], [[1]], {1})


@pytest.fixture(scope="module")
def trie(vocabulary, tmp_path_factory):
    return TokenTrie(vocabulary, tmp_path_factory.mktemp("tokens"))


@pytest.fixture(scope="module")
def compile_frames(trie):
    def compiled(*writers, closes=(), texts=(), tokens=trie, **options):
        """Frames of functions that write them; `closes` are the numbers of those that close."""
        program = Program()
        program.texts.extend(texts)
        for number, write in enumerate(writers):
            program.declare_frame(partial(write, program), closes=number in closes)
        return CompiledGrammar(program, tokens, **options)

    return compiled


def states_of(grammar):
    return int(grammar._automaton._block[memory.STATE_COUNT])


def write_brackets(program):
    program.emit_bytes(b"[")
    skip = program.emit(Op.SPLIT)
    program.emit(Op.CALL, 1)
    program.point(skip, program.end)
    program.emit_bytes(b"]")
    program.emit(Op.RETURN)


def write_all(program, *cells):
    for op, argument in cells:
        program.emit(op, argument)


def string_of(first_text):
    return [(Op.BYTE, 0x22), (Op.TEXT, first_text), (Op.BYTE, 0x22), (Op.ACCEPT, 0)]


def mask_of(matcher, size):
    bitmask = allocate_token_bitmask(1, size)
    matcher.fill_next_token_bitmask(bitmask)
    return bitmask


def test_kernels_and_programs_number_their_parts_alike():
    for op in programs.Op:
        assert getattr(found, op.name) == op
    for spelling in programs.Spelling:
        assert getattr(decoder, spelling.name) == spelling


def test_what_is_between_brackets_is_the_same_at_every_depth(compile_frames):
    grammar = compile_frames(
        lambda program: write_all(program, (Op.CALL, 1), (Op.ACCEPT, 0)), write_brackets, closes={1}
    )
    matcher = grammar.matcher()
    assert matcher.accept_bytes(b"[[[")
    states = states_of(grammar)
    assert matcher.accept_bytes(b"[" * 2000 + b"]" * 2002)
    assert not matcher.is_accepting()
    assert states_of(grammar) <= states + 2
    assert matcher.accept_bytes(b"]")
    assert matcher.is_accepting()


def test_a_bracket_that_is_not_the_last_byte_of_a_frame_breaks_the_promise(compile_frames):
    def write(program):
        program.emit_bytes(b"[]")
        skip = program.emit(Op.SPLIT)
        program.emit_bytes(b"x")
        program.point(skip, program.end)
        program.emit(Op.RETURN)

    def write_text(program):
        write_all(program, (Op.CALL, 1), (Op.ACCEPT, 0))

    matcher = compile_frames(write_text, write, closes={1}).matcher()
    with pytest.raises(GrammarError, match="broken"):
        matcher.accept_bytes(b"[]")


def test_a_frame_without_an_end_breaks_the_promise(compile_frames):
    with pytest.raises(GrammarError, match="broken"):
        compile_frames(lambda program: program.emit(Op.SPLIT, 5))


def test_a_frame_that_calls_itself_first_passes_a_limit(compile_frames):
    def write(program):
        write_all(program, (Op.CALL, 0), (Op.BYTE, 0x61), (Op.RETURN, 0))

    limits = AutomatonLimits(max_courses=500)
    with pytest.raises(GrammarLimitError, match="courses of a grammar at once") as caught:
        compile_frames(write, limits=limits)
    assert caught.value.limit == 500


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        (AutomatonLimits(max_states=300), "states of a grammar"),
        (AutomatonLimits(max_bytes=600_000), "bytes of the automaton"),
    ],
)
def test_a_text_that_needs_more_states_than_there_may_be_passes_a_limit(
    compile_frames, limits, what
):
    texts = [Text(ANYTHING(), Spelling.CANONICAL, 0, 100_000)]
    cells = string_of(0)
    grammar = compile_frames(lambda p: write_all(p, *cells), texts=texts, limits=limits)
    matcher = grammar.matcher()
    with pytest.raises(GrammarLimitError, match=what):
        matcher.accept_bytes(b'"' + b"a" * 100_000)
    assert not matcher.is_accepting()
    other = grammar.matcher()  # begins anew
    assert other.accept_bytes(b'"a"')
    assert other.is_accepting()


@pytest.fixture
def compile_lookaheads(compile_frames):
    """A text whose language takes some work for each token."""
    pattern = "".join(f"(?=.*{letter}.{{3}})" for letter in "abcdefghij") + ".*"

    def compiled(**options):
        text = text_of(parse_regex(pattern, TermPool(), search=False), Spelling.RAW)
        cells = [(Op.TEXT, 0), (Op.ACCEPT, 0)]
        return compile_frames(lambda p: write_all(p, *cells), texts=[text], **options)

    return compiled


@pytest.mark.parametrize("need", ["mask", "bytes"])
def test_all_that_one_step_needs_has_one_budget(need, compile_lookaheads, vocabulary, monkeypatch):
    budgets, load_row = [], TextStates.load_row

    def load_noted_row(states, number):
        budgets.append(budget._thread.budget)
        load_row(states, number)

    monkeypatch.setattr(TextStates, "load_row", load_noted_row)
    matcher = compile_lookaheads().matcher()
    if need == "mask":
        mask_of(matcher, vocabulary.size)
    else:
        assert matcher.accept_bytes(b"abcdefghij")
    assert len(budgets) > 1
    assert {*map(id, budgets)} == {id(budgets[0])}
    assert budget._thread.budget is None


def test_languages_that_tokens_make_larger_pass_a_limit(compile_lookaheads, vocabulary):
    grammar = compile_lookaheads(limits=AutomatonLimits(max_text_bytes=40_000))
    matcher = grammar.matcher()
    with pytest.raises(GrammarLimitError, match="bytes of the texts of a grammar") as caught:
        for letter in "abcdefghij":
            mask_of(matcher, vocabulary.size)
            assert matcher.accept_bytes(letter.encode())
    assert caught.value.limit == 40_000
    other = grammar.matcher()  # begins anew
    assert other.accept_bytes(b"abcdefghij...")
    assert other.is_accepting()


def test_a_batch_tells_which_rows_passed_a_limit(compile_frames, vocabulary):
    texts = [Text(ANYTHING(), Spelling.CANONICAL, 0, 100)]
    cells = string_of(0)
    few, many = (
        compile_frames(lambda p: write_all(p, *cells), texts=texts, limits=limits)
        for limits in (AutomatonLimits(max_states=6), AutomatonLimits())
    )
    matchers = [many.matcher(), few.matcher(), None, many.matcher()]
    bitmask = allocate_token_bitmask(4, vocabulary.size)
    errors = fill_bitmasks(matchers, bitmask)
    assert [*errors] == [1]
    assert isinstance(errors[1], GrammarLimitError)
    assert not bitmask[1].any()
    assert (bitmask[2] == -1).all()
    for row in (0, 3):
        assert (bitmask[row] == mask_of(matchers[row], vocabulary.size)).all()


def test_an_automaton_that_has_grown_begins_anew_for_new_texts(compile_frames, vocabulary):
    texts = [Text(ANYTHING(), Spelling.CANONICAL, 0, 100_000)]
    limits, cells = AutomatonLimits(max_bytes=1 << 20), string_of(0)
    grammar = compile_frames(lambda p: write_all(p, *cells), texts=texts, limits=limits)
    old = grammar.matcher()
    for _ in range(5):
        matcher = grammar.matcher()
        assert matcher.accept_bytes(b'"' + b"a" * 500)
    assert matcher._automaton is not old._automaton
    assert grammar.nbytes < 1 << 20
    assert (mask_of(old, vocabulary.size) == mask_of(grammar.matcher(), vocabulary.size)).all()


def test_a_text_without_a_bound_is_one_state_however_long_it_is(compile_frames):
    texts = [Text(ANYTHING(), Spelling.CANONICAL, 3, -1)]
    cells = string_of(0)
    grammar = compile_frames(lambda p: write_all(p, *cells), texts=texts)
    matcher = grammar.matcher()
    assert matcher.accept_bytes(b'"aaaa')
    states = states_of(grammar)
    assert matcher.accept_bytes(b"a" * 5000)
    assert states_of(grammar) == states


def test_masks_that_are_forgotten_are_found_again(compile_frames, vocabulary):
    """With room for two masks at a time."""
    texts = [Text(ANYTHING(), Spelling.FREE, 0, 40)]
    cells = string_of(0)
    small = AutomatonLimits(mask_bytes=16 * vocabulary.size // 8)
    grammars = [
        compile_frames(lambda p: write_all(p, *cells), texts=texts, limits=limits)
        for limits in (small, AutomatonLimits())
    ]
    for _ in range(2):
        matchers = [grammar.matcher() for grammar in grammars]
        for byte in b'"abcdefghijklmnopq\\u00e9':
            masks = [mask_of(matcher, vocabulary.size) for matcher in matchers]
            assert np.array_equal(*masks)
            assert all(matcher.accept_bytes(bytes([byte])) for matcher in matchers)


def test_bytes_that_no_token_is_are_refused_by_name(compile_frames, make_vocabulary, tmp_path):
    trie = TokenTrie(make_vocabulary(missing=b"b"), tmp_path)
    with pytest.raises(GrammarError, match=r"cannot spell .* byte b'b' by itself"):
        compile_frames(lambda p: write_all(p, (Op.BYTE, 0x62), (Op.ACCEPT, 0)), tokens=trie)
    texts, cells = [Text(ANYTHING(), Spelling.CANONICAL)], string_of(0)
    with pytest.raises(GrammarError, match=r"cannot spell all strings of JSON.*b'b'"):
        compile_frames(lambda p: write_all(p, *cells), texts=texts, tokens=trie)


def test_characters_that_cannot_be_spelled_are_left_out(compile_frames, make_vocabulary, tmp_path):
    """Without 0xA9, the last byte of U+00A9 and U+00E9, and the second of U+1A40 to U+1A7F."""
    vocabulary = make_vocabulary(missing=b"\xa9")
    trie = TokenTrie(vocabulary, tmp_path)
    only = TableDfa([0xE9, 0xEA], [[0, 0, 2, 0], [0]], {2})  # no text but U+00E9, or U+1F600
    cells = [(Op.TEXT, 0), (Op.ACCEPT, 0)]
    with pytest.raises(GrammarError, match="cannot spell"):
        only = TableDfa([0xE9, 0xEA], [[0, 2, 0, 0, 0], [0]], {2})
        texts = [Text(only, Spelling.RAW)]
        compile_frames(lambda p: write_all(p, *cells), texts=texts, tokens=trie)
    texts = [Text(ANYTHING(), Spelling.RAW)]
    grammar = compile_frames(lambda p: write_all(p, *cells), texts=texts, tokens=trie)
    assert [text for text in grammar.warnings if r"b'\xa9'" in text] == grammar.warnings != []
    matcher = grammar.matcher()
    assert matcher.accept_bytes(b"a\xc3")
    assert not matcher.accept_bytes(b"\xa9")
    assert matcher.accept_bytes(b"\xaa")
    # JSON strings have escapes for what cannot be spelled
    cells = string_of(0)
    texts = [Text(only, Spelling.CANONICAL)]
    matcher = compile_frames(lambda p: write_all(p, *cells), texts=texts, tokens=trie).matcher()
    assert matcher.accept_bytes(b'"')
    assert not matcher.accept_bytes(b"\xc3")
    assert matcher.accept_bytes(b'\\u00e9"')
