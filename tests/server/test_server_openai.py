"""OpenAI's routes: the tokens of the generator, in OpenAI's shape."""

import json

import pytest
from scripted_models import END, ScriptedModel, Watched, request, word
from server_client import JSON

from sampler.models.gguf.chat import ChatTemplate

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
TEMPLATE = ChatTemplate(
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
SAMPLED = {"seed": 3, "max_tokens": 9, "ignore_eos": True}
HELLO = [{"role": "user", "content": "hello"}]
PROMPT = "[user]hello\n[assistant]"


@pytest.fixture
def client(serve):
    return serve(chat_template=TEMPLATE, model_name="small")


def chunks(answer):
    """The values of the events before ``[DONE]``."""
    *events, done, rest = answer.body.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in events]


def generated(client, inputs, **parameters):
    """What the generator says to the same request in TGI's form."""
    asked = {"do_sample": True, "seed": 3, "max_new_tokens": 9, "ignore_eos": True, **parameters}
    return client.generator.generate(request(inputs, **asked, details=True, trim_stop=True))


def test_a_completion_has_the_text_of_the_generator(client):
    answer = client.post(
        COMPLETIONS, {"model": "any", "prompt": "ab", **SAMPLED}, {**JSON, "x-request-id": "mine"}
    ).json()
    assert answer.pop("created") > 0
    text = generated(client, "ab").generated_text
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": "length"}
    assert answer == {
        "id": "cmpl-mine",
        "object": "text_completion",
        "model": "small",
        "choices": [choice],
        "usage": {"prompt_tokens": 2, "completion_tokens": 9, "total_tokens": 11},
    }


def test_a_chat_writes_the_conversation_by_the_template(client):
    answer = client.post(CHAT, {"model": "any", "messages": HELLO, **SAMPLED}).json()
    (choice,) = answer["choices"]
    text = generated(client, PROMPT).generated_text
    assert choice["message"] == {"role": "assistant", "content": text, "refusal": None}
    assert answer["object"] == "chat.completion"
    assert answer["usage"]["prompt_tokens"] == len(PROMPT)


def test_content_may_come_in_parts(client):
    parts = [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]
    told = [
        client.post(CHAT, {"messages": [{"role": "user", "content": content}], **SAMPLED}).json()
        for content in (parts, "hello")
    ]
    assert told[0]["choices"] == told[1]["choices"]


@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
def test_the_pieces_of_a_stream_are_the_whole_text(client, path):
    asked = {"prompt": "ab"} if path == COMPLETIONS else {"messages": HELLO}
    whole = client.post(path, {**asked, **SAMPLED}).json()
    answer = client.post(path, {**asked, **SAMPLED, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    pieces = chunks(answer)
    assert len(pieces) == 9
    choices = [piece["choices"][0] for piece in pieces]
    assert [choice["finish_reason"] for choice in choices] == [None] * 8 + ["length"]
    if path == COMPLETIONS:
        text = "".join(choice["text"] for choice in choices)
        assert text == whole["choices"][0]["text"]
    else:
        assert choices[0]["delta"].pop("role") == "assistant"
        assert all(choice["delta"].keys() == {"content"} for choice in choices)
        text = "".join(choice["delta"]["content"] for choice in choices)
        assert text == whole["choices"][0]["message"]["content"]
        assert {piece["object"] for piece in pieces} == {"chat.completion.chunk"}
    assert len({piece["id"] for piece in pieces}) == 1


def test_usage_comes_last_when_it_is_asked_for(client):
    options = {"stream": True, "stream_options": {"include_usage": True}}
    *pieces, last = chunks(client.post(COMPLETIONS, {"prompt": "ab", **SAMPLED, **options}))
    assert all(piece["usage"] is None for piece in pieces)
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 2, "completion_tokens": 9, "total_tokens": 11}


def test_what_the_api_does_by_default_is_done(client):
    first, second = (
        client.post(COMPLETIONS, {"prompt": "ab", "ignore_eos": True}).json() for _ in range(2)
    )
    assert first["usage"]["completion_tokens"] == 16
    assert first["choices"] != second["choices"]  # 16 tokens of 265: they sample
    greedy = {"prompt": "ab", "temperature": 0, "ignore_eos": True}
    first, second = (client.post(COMPLETIONS, greedy).json() for _ in range(2))
    assert first["choices"] == second["choices"]


def test_ends_have_the_names_of_the_api_and_stop_strings_are_left_out(serve):
    script = [*b"one ", word(b"stop here"), *b"two"]
    client = serve(ScriptedModel({"go": script}))
    asked = {"prompt": "go", "max_tokens": 50, "temperature": 0}
    for stop, text in ((None, "one stop heretwo"), ("stop", "one "), (["x", "here"], "one stop ")):
        choice = client.post(COMPLETIONS, {**asked, "stop": stop}).json()["choices"][0]
        assert (choice["text"], choice["finish_reason"]) == (text, "stop")
        pieces = chunks(client.post(COMPLETIONS, {**asked, "stop": stop, "stream": True}))
        assert "".join(piece["choices"][0]["text"] for piece in pieces) == text


def test_echo_puts_the_prompt_in_front(client):
    asked = {"prompt": "ab", **SAMPLED, "echo": True}
    text = client.post(COMPLETIONS, asked).json()["choices"][0]["text"]
    assert text == "ab" + generated(client, "ab").generated_text
    pieces = chunks(client.post(COMPLETIONS, {**asked, "stream": True}))
    assert "".join(piece["choices"][0]["text"] for piece in pieces) == text


def test_logprobs_of_a_completion(client):
    asked = {"prompt": "ab", **SAMPLED, "logprobs": 2}
    told = client.post(COMPLETIONS, asked).json()["choices"][0]["logprobs"]
    details = generated(client, "ab", top_n_tokens=2).details.to_dict()
    assert told["token_logprobs"] == [token["logprob"] for token in details["tokens"]]
    assert all(len(top) == 2 for top in told["top_logprobs"])
    assert told["text_offset"][0] == 0
    pieces = chunks(client.post(COMPLETIONS, {**asked, "stream": True}))
    streamed = [piece["choices"][0]["logprobs"] for piece in pieces]
    for name, values in told.items():
        assert [value for one in streamed for value in one[name]] == values


def test_logprobs_of_a_chat(client):
    asked = {"messages": HELLO, **SAMPLED, "logprobs": True, "top_logprobs": 2}
    told = client.post(CHAT, asked).json()["choices"][0]["logprobs"]["content"]
    details = generated(client, PROMPT, top_n_tokens=2).details.to_dict()
    assert [one["logprob"] for one in told] == [token["logprob"] for token in details["tokens"]]
    assert [len(one["top_logprobs"]) for one in told] == [2] * 9
    assert all(bytes(one["bytes"]).decode(errors="replace") == one["token"] for one in told)
    pieces = chunks(client.post(CHAT, {**asked, "stream": True}))
    assert [piece["choices"][0]["logprobs"]["content"][0] for piece in pieces] == told


FORMATS = {
    "json_schema": {
        "type": "json_schema",
        "json_schema": {"name": "size", "strict": True, "schema": {"enum": ["small", "large"]}},
    },
    "regex": {"type": "regex", "value": '"(small|large)"'},
    "json": {"type": "json", "value": {"enum": ["small", "large"]}},
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_response_format_is_a_grammar(client, name):
    asked = {"prompt": "ab", "max_tokens": 30, "seed": 1, "response_format": FORMATS[name]}
    choice = client.post(COMPLETIONS, asked).json()["choices"][0]
    assert json.loads(choice["text"]) in ("small", "large")
    assert choice["finish_reason"] == "stop"


def test_json_object_is_any_object(client):
    asked = {"messages": HELLO, "max_tokens": 5, "response_format": {"type": "json_object"}}
    text = client.post(CHAT, asked).json()["choices"][0]["message"]["content"]
    assert text.startswith("{")


REFUSED = {
    "`prompt` is missing": {},
    "`prompt` must be a string": {"prompt": ["a", "b"]},
    "`n` must be 1": {"prompt": "a", "n": 2},
    "`max_tokens` must be strictly positive": {"prompt": "a", "max_tokens": 0},
    "`logprobs` must be": {"prompt": "a", "logprobs": True},
    "`top_p` must be > 0.0 and <= 1.0": {"prompt": "a", "top_p": 3},
    "unknown field `suffix`": {"prompt": "a", "suffix": "b"},
    "unknown field `inputs`": {"prompt": "a", "inputs": "b"},
    "unknown field `parameters`": {"prompt": "a", "parameters": {}},
    "`stream_options` must have": {"prompt": "a", "stream_options": {"x": 1}},
    "`response_format.type` must be": {"prompt": "a", "response_format": {"type": "xml"}},
    "`parameters.grammar.value` must be an object": {
        "prompt": "a",
        "response_format": {"type": "json_schema"},
    },
    "grammar is not valid": {"prompt": "a", "response_format": {"type": "regex", "value": "("}},
}


@pytest.mark.parametrize("problem", REFUSED)
def test_problems_are_told_in_the_shape_of_the_api(client, problem):
    answer = client.post(COMPLETIONS, REFUSED[problem])
    assert answer.status == 400
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == "validation"
    assert problem.replace("parameters.", "") in error["message"].replace("parameters.", "")


REFUSED_MESSAGES = {
    "`messages` is missing": {},
    "`messages` must be a list that is not empty": {"messages": []},
    "`messages[0]` must be an object": {"messages": ["hello"]},
    "have parts of type text": {
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]
    },
    "`content` must be a valid text": {"messages": [{"role": "user", "content": None}]},
    "unknown field `tools`": {"messages": HELLO, "tools": []},
}


@pytest.mark.parametrize("problem", REFUSED_MESSAGES)
def test_conversations_that_cannot_be_taken_are_refused(client, problem):
    answer = client.post(CHAT, REFUSED_MESSAGES[problem])
    assert answer.status == 400
    assert problem in answer.json()["error"]["message"]


def test_a_model_without_a_template_does_not_chat(serve):
    answer = serve(model_name="small").post(CHAT, {"messages": HELLO})
    assert answer.status == 400
    assert "the model 'small' has none" in answer.json()["error"]["message"]


def test_errors_of_http_have_the_shape_of_the_api(serve):
    client = serve(api_key="secret")
    answer = client.post(COMPLETIONS, {"prompt": "a"})
    assert answer.status == 401
    assert answer.json()["error"]["code"] == 401
    assert (
        client.get(COMPLETIONS, {"authorization": "Bearer secret"}).json()["error"]["code"] == 405
    )


def test_a_failure_amid_a_stream_is_an_event_without_an_end(serve):
    calls = []

    def model(batch):
        calls.append(1)
        if len(calls) > 2:
            raise ValueError("no")
        return ScriptedModel({"go": [*b"abcdef", END]})(batch)

    answer = serve(model).post(COMPLETIONS, {"prompt": "go", "stream": True, "temperature": 0})
    *_, last, rest = answer.body.decode().split("\n\n")
    assert rest == ""
    assert json.loads(last.removeprefix("data: "))["error"]["type"] == "generation"


def test_a_full_queue_is_status_429(serve):
    model = Watched(held=True)
    client = serve(model, max_batch_size=1, max_waiting=1, chat_template=TEMPLATE)
    first = [client.begin("POST", COMPLETIONS, {"prompt": "a", **SAMPLED}) for _ in range(1)]
    model.wait_for_call(1)
    first.append(client.begin("POST", COMPLETIONS, {"prompt": "a", **SAMPLED}))
    while client.generator.load.waiting < 1:
        pass
    for path, asked in ((COMPLETIONS, {"prompt": "a"}), (CHAT, {"messages": HELLO})):
        answer = client.post(path, asked)
        assert answer.status == 429
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["error"]["type"] == "overloaded"
    model.let_go()
    for connection in first:
        assert connection.getresponse().status == 200
        connection.close()
