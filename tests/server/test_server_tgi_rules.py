"""What TGI's own tests hold, said of this server, wherever it has decided to do the same.

Their subjects: StopSequenceCriteria and StoppingCriteria, batch_top_tokens, the decoding of tokens
one by one, the router's validation and the Python client. Where the decision is another one (a stop
string matches anywhere, exactly n top tokens, neutral values are legal) the test says ours.
"""

import json

import numpy as np
import pytest
from scripted_models import END, SIZE, ScriptedModel, hash_model, request, word

from sampler.limits import Limits


def answer_to(serve, script, **parameters):
    """The answer of a model that says `script`, and the events of the same request."""
    client = serve(ScriptedModel({"q": list(script)}))
    asked = request("q", details=True, **{"max_new_tokens": 30, **parameters})
    whole = client.post("/generate", asked).json()
    events = client.post("/generate_stream", asked).events()
    assert events[-1]["generated_text"] == whole["generated_text"]
    assert events[-1]["details"]["finish_reason"] == whole["details"]["finish_reason"]
    return whole, events


def reason(whole):
    return whole["details"]["finish_reason"], whole["details"]["generated_tokens"]


@pytest.mark.parametrize(
    ("said", "stop", "expected"),
    [
        (b"/test;", "/test;", ("stop_sequence", 6)),
        (b"/test", "/test;", ("eos_token", 6)),
        (b"/ test;", "/test;", ("eos_token", 8)),
        (b"<|stop|>", "<|stop|>", ("stop_sequence", 8)),
        (b"<stop>", "<|stop|>", ("eos_token", 7)),
        (b"stop", "<|stop|>", ("eos_token", 5)),
        (b"a.c", "a.c", ("stop_sequence", 3)),
        (b"abc", "a.c", ("eos_token", 4)),
        (b"(", "(", ("stop_sequence", 1)),
    ],
)
def test_a_stop_string_is_found_as_it_is_written(serve, said, stop, expected):
    whole, _ = answer_to(serve, said, stop=[stop])
    assert reason(whole) == expected
    assert whole["generated_text"] == said.decode()


def test_a_stop_string_is_found_inside_a_token_too(serve):
    whole, events = answer_to(serve, [word(b"stop here"), *b" and on"], stop=["stop"])
    assert reason(whole) == ("stop_sequence", 1)
    assert whole["generated_text"] == events[0]["token"]["text"] == "stop"


def test_a_stop_string_is_found_over_the_borders_of_tokens(serve):
    whole, _ = answer_to(serve, [word(b"the"), word(b" cat"), *b" sat"], stop=["e ca"])
    assert reason(whole) == ("stop_sequence", 2)
    assert whole["generated_text"] == "the ca"


def test_the_end_token_ends_and_is_counted(serve):
    whole, events = answer_to(serve, [*b"/test", END, *b"more"], stop=["/test;"])
    assert reason(whole) == ("eos_token", 6)
    assert whole["generated_text"] == "/test"
    assert events[-1]["token"]["special"] is True


def test_the_length_ends_at_exactly_the_number_of_tokens(serve):
    whole, events = answer_to(serve, b"/test and more", stop=["/test;"], max_new_tokens=5)
    assert reason(whole) == ("length", 5)
    assert [event["details"] is None for event in events] == [True] * 4 + [False]


class FixedLogprobs:
    """A model whose first logits have given distances, far above all others."""

    def __call__(self, batch):
        row = np.full(SIZE, -60.0, np.float32)
        row[:5] = [-1, -3, -4, -2, -3]
        return np.stack([row] * len(batch))


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [0]), (2, [0, 3]), (3, [0, 3, 1]), (4, [0, 3, 1, 4]), (5, [0, 3, 1, 4, 2])],
)
def test_top_tokens_are_the_most_probable_ones_equal_ones_by_id(serve, count, expected):
    client = serve(FixedLogprobs())
    asked = request("a", max_new_tokens=2, details=True, top_n_tokens=count)
    details = client.post("/generate", asked).json()["details"]
    assert [[token["id"] for token in row] for row in details["top_tokens"]] == [expected] * 2
    for event in client.post("/generate_stream", asked).events():
        assert [token["id"] for token in event["top_tokens"]] == expected
        assert event["top_tokens"][0] == event["token"]


def test_without_top_tokens_none_are_told(serve):
    client = serve(FixedLogprobs())
    asked = request("a", max_new_tokens=1, details=True, top_n_tokens=0)
    assert "top_tokens" not in client.post("/generate", asked).json()["details"]
    (event,) = client.post("/generate_stream", asked).events()
    assert "top_tokens" not in event


def test_requests_with_and_without_top_tokens_are_told_what_they_asked_for(serve):
    client = serve(FixedLogprobs())
    begun = [
        client.begin(
            "POST", "/generate", request("a", max_new_tokens=9, top_n_tokens=n, details=True)
        )
        for n in (0, 3, 5)
    ]
    told = [json.loads(one.getresponse().read())["details"] for one in begun]
    for one in begun:
        one.close()
    assert [len(details.get("top_tokens", [[]])[0]) for details in told] == [0, 3, 5]


@pytest.mark.parametrize("said", ["a plain sentence, with a comma.", "你好,世界 👍", "ñandú"])
def test_texts_of_events_put_together_are_the_text(serve, said):
    whole, events = answer_to(serve, said.encode(), max_new_tokens=60)
    texts = [event["token"]["text"] for event in events if not event["token"]["special"]]
    assert "".join(texts) == whole["generated_text"] == said


def refusal(client, parameters):
    """The text of the error, without the beginning that all of them have; None if it is legal."""
    answer = client.post("/generate", request("a", **{"max_new_tokens": 2, **parameters}))
    assert answer.status in (200, 400)
    if answer.status == 200:
        return None
    assert answer.json()["error_type"] == "validation"
    return answer.json()["error"].removeprefix("Input validation error: ")


def test_more_tokens_than_fit_are_refused_in_the_words_of_tgi(serve):
    client = serve(request_limits=Limits(max_input_tokens=5, max_total_tokens=6))
    assert refusal(client, {"max_new_tokens": 10}) == (
        "`inputs` tokens + `max_new_tokens` must be <= 6."
        " Given: 1 `inputs` tokens and 10 `max_new_tokens`"
    )
    assert refusal(client, {"max_new_tokens": 5}) is None


def test_best_of_needs_sampling_in_the_words_of_tgi(serve):
    asked = {"best_of": 2, "do_sample": False}
    words = "you must use sampling when `best_of` is > 1"
    assert refusal(serve(strict_tgi=True), asked) == words
    assert refusal(serve(), asked) == f"{words}. Given: 2"
    assert refusal(serve(), {**asked, "temperature": 0.5}) is None


def test_top_tokens_have_a_limit_in_the_words_of_tgi(serve):
    client = serve(request_limits=Limits(max_top_n_tokens=4))
    words = "`top_n_tokens` must be >= 0 and <= 4. Given: 5"
    assert refusal(client, {"top_n_tokens": 5}) == words
    for count in (4, 0, None):
        assert refusal(client, {"top_n_tokens": count}) is None


# as TGI's router and its Python client judge them
LEGAL = [
    *({"best_of": 1}, {"repetition_penalty": 1.0}, {"repetition_penalty": 0.5}, {"seed": 1}),
    *({"seed": 0}, {"temperature": 1.0}, {"temperature": 30.0}, {"top_k": 1}, {"top_p": 0.5}),
    *({"top_p": 0.99}, {"top_p": None}, {"truncate": 1}, {"typical_p": 0.5}, {"stop": []}),
    *({"stop": ["x", "y"]}, {"watermark": True}, {"return_full_text": True}, {}),
]
# as we judge them and TGI does not: neutral values, and best_of with a seed
LEGAL_HERE = [
    *({"top_p": 1.0}, {"typical_p": 1.0}, {"top_k": 0}, {"temperature": 0.0}),
    {"best_of": 2, "seed": 1, "do_sample": True},
]
ILLEGAL = [
    *({"best_of": -1}, {"best_of": 0}, {"repetition_penalty": 0.0}, {"repetition_penalty": -1.0}),
    *({"seed": -1}, {"seed": 1.5}, {"temperature": -1.0}, {"top_k": -1}, {"top_p": 0.0}),
    *({"top_p": -1.0}, {"top_p": 1.5}, {"truncate": 0}, {"truncate": -1}, {"typical_p": 0.0}),
    *({"typical_p": -1.0}, {"typical_p": 2.0}, {"max_new_tokens": 0}, {"max_new_tokens": -1}),
    *({"frequency_penalty": 2.5}, {"frequency_penalty": -2.5}, {"stop": "x"}, {"stop": None}),
]


def test_legal_values_are_taken(serve):
    client = serve()
    for parameters in LEGAL + LEGAL_HERE:
        assert refusal(client, parameters) is None, parameters


def test_illegal_values_are_refused_by_name(serve):
    client = serve()
    for parameters in ILLEGAL:
        (name,) = parameters
        assert (refusal(client, parameters) or "").startswith(f"`{name}` must be "), parameters


def test_a_strict_server_refuses_the_neutral_values_that_tgi_refuses(serve):
    client = serve(strict_tgi=True)
    for parameters in LEGAL:
        assert refusal(client, parameters) is None, parameters
    for parameters in LEGAL_HERE[:4]:
        (name,) = parameters
        assert (refusal(client, parameters) or "").startswith(f"`{name}` must be "), parameters


def test_an_empty_prompt_is_refused_in_the_words_of_tgi(serve):
    answer = serve().post("/generate", request("", max_new_tokens=1))
    assert answer.json()["error"] == "Input validation error: `inputs` cannot be empty"


def test_a_request_of_one_token_is_told_as_the_client_of_tgi_expects(serve):
    client = serve()
    asked = request("test", max_new_tokens=1, decoder_input_details=True, ignore_eos=True)
    details = client.post("/generate", asked).json()["details"]
    assert details["finish_reason"] == "length"
    assert (details["generated_tokens"], details["seed"]) == (1, None)
    assert [token["text"] for token in details["prefill"]] == list("test")
    assert details["prefill"][0]["logprob"] is None
    assert len(details["tokens"]) == 1
    (event,) = client.post("/generate_stream", asked).events()
    assert event["token"] == details["tokens"][0]


def test_of_two_candidates_the_other_one_is_told_with_its_seed(serve):
    asked = request("test", max_new_tokens=1, best_of=2, do_sample=True, details=True)
    details = serve(hash_model).post("/generate", asked).json()["details"]
    (other,) = details["best_of_sequences"]
    assert details["seed"] is not None
    assert other["seed"] not in (None, details["seed"])
    assert other["generated_tokens"] == len(other["tokens"]) == 1
