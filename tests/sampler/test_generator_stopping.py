"""When a sequence ends, why, and what its text is then."""

import numpy as np
import pytest
from example_tokenizers import SAMPLES, trained_byte_fallback, trained_byte_level
from scripted_models import END, SIZE, TOOL, ScriptedModel, hash_model, joined, request, word

from sampler import Generator, Limits
from sampler.errors import InvalidParameterError, LogitsError

ROOMY = Limits(max_total_tokens=3000)


def finished(generator, asked):
    """The events, the reason and the text of a request, told alike by both doors."""
    asked["parameters"]["details"] = True
    events = list(generator.generate_stream(asked))
    last = events[-1]
    answer = generator.generate(asked)
    assert answer.generated_text == last.generated_text
    assert answer.details.finish_reason == last.details.finish_reason
    assert answer.details.generated_tokens == last.details.generated_tokens == len(events)
    assert [event.index for event in events] == list(range(1, len(events) + 1))
    return events, last.details.finish_reason, last.generated_text


@pytest.mark.parametrize(
    ("most", "stop", "reason"),
    [
        (2, ["b"], "length"),
        (2, [], "length"),
        (3, ["b"], "stop_sequence"),
        (3, [], "length"),
        (4, ["<|end|>"], "eos_token"),
        (3, ["<|end|>"], "length"),
    ],
)
def test_length_wins_over_the_end_and_the_end_over_a_stop_string(
    make_generator, most, stop, reason
):
    generator = make_generator(ScriptedModel({"p": b"ab"}))
    _, found, _ = finished(generator, request("p", max_new_tokens=most, stop=stop))
    assert found == reason


def test_a_stop_string_on_the_last_token_still_cuts_the_text(make_generator):
    generator = make_generator(ScriptedModel({"p": [word(b"stop here")]}))
    _, reason, text = finished(generator, request("p", max_new_tokens=1, stop=["op"]))
    assert (reason, text) == ("length", "stop")


@pytest.mark.parametrize("most", [1, 2, 1023, 1024, 1025, 2500])
def test_max_new_tokens_is_honoured_exactly(make_generator, most):
    generator = make_generator(ScriptedModel({"p": b"x" * 3000}), limits=ROOMY)
    events, reason, text = finished(generator, request("p", max_new_tokens=most))
    assert (len(events), reason, text) == (most, "length", "x" * most)


def test_without_max_new_tokens_the_room_is_filled(make_generator):
    limits = Limits(max_total_tokens=50, max_input_tokens=40)
    generator = make_generator(ScriptedModel({"prompt": b"x" * 99}), limits=limits)
    events, reason, _ = finished(generator, request("prompt"))
    assert (len(events), reason) == (44, "length")
    longer = request("prompt", max_new_tokens=45)
    with pytest.raises(InvalidParameterError, match="must be <= 50"):
        generator.generate(longer)


def test_randomness_goes_on_where_it_was_beyond_1024_tokens(make_generator):
    generator = make_generator(hash_model, limits=ROOMY)
    whole = list(
        generator.generate_stream(
            request(max_new_tokens=1500, ignore_eos=True, do_sample=True, seed=1)
        )
    )
    start = list(
        generator.generate_stream(
            request(max_new_tokens=1100, ignore_eos=True, do_sample=True, seed=1)
        )
    )
    ids = [event.token.id for event in whole]
    assert ids[:1100] == [event.token.id for event in start]
    assert ids[1024:1100] != ids[:76]


def test_the_end_is_a_special_token_and_no_part_of_the_text(make_generator):
    generator = make_generator(ScriptedModel({"p": b"ab"}))
    events, reason, text = finished(generator, request("p"))
    assert (reason, text) == ("eos_token", "ab")
    assert events[-1].token.special
    assert events[-1].token.text == "<|end|>"


def test_with_ignore_eos_the_end_is_a_token_like_others(make_generator):
    generator = make_generator(ScriptedModel({"p": [*b"ab", END, *b"cd"]}))
    events, reason, text = finished(generator, request("p", ignore_eos=True, max_new_tokens=5))
    assert (reason, text) == ("length", "abcd")
    assert [event.token.special for event in events] == [False, False, True, False, False]


@pytest.mark.parametrize("least", [1, 4, 7])
def test_no_end_comes_before_min_new_tokens(make_generator, least):
    generator = make_generator(ScriptedModel({"p": b"ab"}))
    settings = {"min_new_tokens": least, "max_new_tokens": 9}
    events, reason, _ = finished(generator, request("p", **settings))
    assert (reason, len(events)) == ("eos_token", max(3, least + 1))
    assert [event.token.id for event in events[:2]] == list(b"ab")
    assert all(event.token.id != END for event in events[:least])


def test_a_model_that_only_wants_to_end_fails_below_min_new_tokens(make_generator):
    def model(batch):
        logits = np.full((len(batch), SIZE), -np.inf, np.float32)
        logits[:, END] = 0.0
        return logits

    generator = make_generator(model)
    with pytest.raises(LogitsError, match="no token is allowed"):
        generator.generate(request(min_new_tokens=1))
    assert generator.generate(request()).generated_text == ""


@pytest.mark.parametrize(
    ("script", "stop", "text", "trimmed"),
    [
        (b"say END now", ["END"], "say END", "say "),
        ([*b"x", word(b"END"), *b"y"], ["END"], "xEND", "x"),
        ([*b"x", word(b"stop here"), *b"y"], ["op"], "xstop", "xst"),
        ([*b"the", word(b" cat"), *b"y"], ["e c"], "the c", "th"),
        (b"ababac", ["abac"], "ababac", "ab"),
        (b"ababa", ["abac"], "ababa", "ababa"),
        ("one 👍🏽 two".encode(), ["👍🏽"], "one 👍🏽", "one "),
        (b"ab", ["longer than the whole text", "b"], "ab", "a"),
        ([*b"x", TOOL, *b"y"], ["<|tool|>"], "x", "x"),
    ],
)
@pytest.mark.parametrize("trim", [False, True])
def test_the_text_ends_right_after_the_stop_string_or_before_it(
    make_generator, script, stop, text, trimmed, trim
):
    generator = make_generator(ScriptedModel({"p": script}))
    events, reason, found = finished(generator, request("p", stop=stop, trim_stop=trim))
    assert found == (trimmed if trim else text)
    assert joined(events) == found
    assert reason == ("eos_token" if script == b"ababa" else "stop_sequence")


def test_every_token_has_its_event_also_while_text_is_held_back(make_generator):
    generator = make_generator(ScriptedModel({"p": b"abcx"}))
    events, _, text = finished(generator, request("p", stop=["abcd"], trim_stop=True))
    assert [event.token.text for event in events] == ["", "", "", "abcx", "<|end|>"]
    assert text == "abcx"


def test_special_tokens_are_told_and_left_out_of_the_text(make_generator):
    generator = make_generator(ScriptedModel({"p": [*b"a", TOOL, *b"b"]}))
    events, _, text = finished(generator, request("p"))
    assert text == "ab"
    tool = events[1].to_dict()["token"]
    assert (tool["id"], tool["text"], tool["special"]) == (TOOL, "<|tool|>", True)


class Teacher:
    """Makes the tokens of one text the most probable, after a prompt of any length."""

    def __init__(self, size, prompt_length, token_ids):
        self._size, self._prompt_length, self._token_ids = size, prompt_length, token_ids

    def __call__(self, batch):
        logits = np.zeros((len(batch), self._size), np.float32)
        for row, view in enumerate(batch):
            logits[row, self._token_ids[len(view.token_ids) - self._prompt_length]] = 20.0
        return logits


@pytest.mark.parametrize("make", [trained_byte_level, trained_byte_fallback])
@pytest.mark.parametrize("sample", ["emoji", "cjk", "zwj", "planes", "combining"])
def test_text_that_is_cut_at_any_length_is_neither_lost_nor_garbled(make, sample):
    tokenizer = make()
    ids = tokenizer.encode(SAMPLES[sample], add_special_tokens=False).ids
    prompt = "The"
    prompt_length = len(tokenizer.encode(prompt).ids)
    teacher = Teacher(tokenizer.get_vocab_size(), prompt_length, ids)
    with Generator(teacher, tokenizer, eos_token_ids=[]) as generator:
        spelled = b"".join(generator.vocabulary.token_bytes(i) for i in ids)
        for most in range(1, len(ids) + 1):
            settings = {"max_new_tokens": most, "return_full_text": most % 2 == 0}
            events, reason, text = finished(generator, request(prompt, **settings))
            done = b"".join(generator.vocabulary.token_bytes(i) for i in ids[:most])
            assert reason == "length"
            assert joined(events) == done.decode("utf-8", "replace")
            assert text == (prompt if most % 2 == 0 else "") + joined(events)
        assert text.removeprefix(prompt) == spelled.decode()


def test_a_character_that_many_tokens_spell_comes_with_its_last_one(make_generator):
    thumb = [word(b"\xf0\x9f"), word(b"\x91\x8d")]
    generator = make_generator(ScriptedModel({"p": [*thumb, thumb[0]]}))
    events, _, text = finished(generator, request("p"))
    assert [event.token.text for event in events] == ["", "👍", "", "\ufffd"]
    assert text == "👍\ufffd"


def test_a_prompt_of_no_tokens_is_refused(make_generator):
    with pytest.raises(InvalidParameterError, match="`inputs` cannot be empty"):
        make_generator().generate(request(""))
