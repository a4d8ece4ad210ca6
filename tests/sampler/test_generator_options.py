"""How a generator is made, and where it may be used."""

import pytest
from scripted_models import (
    END,
    TOOL,
    ScriptedModel,
    byte_tokenizer,
    byte_vocabulary,
    hash_model,
    request,
)

from sampler import Generator, Limits
from sampler.errors import InvalidParameterError


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_batch_size": 0}, "`max_batch_size` must be an integer >= 1. Given: 0"),
        ({"max_batch_size": True}, "`max_batch_size` must be an integer >= 1. Given: True"),
        ({"max_waiting": 0}, "`max_waiting` must be an integer >= 1. Given: 0"),
        ({"max_waiting": 1.5}, "`max_waiting` must be an integer >= 1. Given: 1.5"),
        ({"limits": {"max_best_of": 3}}, "`limits` must be a Limits. Given: {'max_best_of': 3}"),
        ({"eos_token_ids": [END]}, "`eos_token_ids` must be None beside a Vocabulary"),
        ({"unknown_parameters": "drop"}, "`unknown_parameters` must be 'refuse' or 'ignore'"),
        ({"model": None}, "`model` must be callable. Given: None"),
        ({"tokenizer": "gpt2"}, "`tokenizer` must be a tokenizers.Tokenizer. Given: str"),
    ],
)
def test_what_an_option_does_not_take_is_named(options, text):
    options = {"model": hash_model, "tokenizer": byte_vocabulary(), **options}
    with pytest.raises(InvalidParameterError) as caught:
        Generator(**options)
    assert str(caught.value).startswith(text)


def test_limits_are_those_of_the_generator(make_generator):
    generator = make_generator(limits=Limits(max_best_of=2, max_input_tokens=4))
    for wrong in (request("a", best_of=3, do_sample=True), request("abcde")):
        with pytest.raises(InvalidParameterError):
            generator.generate(wrong)
    assert generator.generate(request("abcd", max_new_tokens=1)).details is None


def test_all_ends_of_sequence_end_it():
    model = ScriptedModel({"p": [*b"ab", TOOL], "q": b"a"})
    with Generator(model, byte_tokenizer(), eos_token_ids=[END, TOOL]) as generator:
        for prompt, text in (("p", "ab"), ("q", "a")):
            answer = generator.generate(request(prompt, details=True))
            assert answer.generated_text == text
            assert answer.details.finish_reason == "eos_token"


def test_a_strict_generator_refuses_what_tgi_refuses_and_answers_the_rest(make_generator):
    generator = make_generator(strict_tgi=True)
    with pytest.raises(InvalidParameterError, match="not supported when streaming"):
        generator.generate_stream(request(best_of=2, do_sample=True))
    sampled = generator.generate(request(best_of=2, do_sample=True, details=True, max_new_tokens=9))
    assert len(sampled.details.best_of_sequences) == 1
    long = request(max_new_tokens=5000, details=True)  # TGI looks at the first 1024 of them only
    limits = Limits(max_total_tokens=1100, max_input_tokens=50)
    answer = make_generator(strict_tgi=True, limits=limits).generate(long)
    assert answer.details.generated_tokens <= 1099
