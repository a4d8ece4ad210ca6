"""Requests of a legal form that ask for too much: the documented error, the others unharmed."""

import json
import os
from itertools import product

import pytest
from scripted_models import request
from server_abuse import check, nothing_is_left, unharmed
from server_process import resident_bytes

from sampler.limits import Limits, ServerLimits
from sampler.models.gguf.chat import ChatTemplate
from sampler.parameters import RANGES
from sampler.wire import REQUEST_RANGES

TGI_ROUTES = ("/", "/generate", "/generate_stream")
OPENAI_ROUTES = ("/v1/completions", "/v1/chat/completions")
SMALL = Limits(max_input_tokens=50, max_total_tokens=60, grammar_compile_seconds=2.0)
MEGABYTE = 1 << 20


@pytest.fixture
def served(serve):
    """A server whose requests are small, with conversations."""
    template = ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}")
    return serve(request_limits=SMALL, chat_template=template)


def statuses(client, asked):
    """Those of all pairs of path and body, each a documented answer; no request is left over."""
    seen = set()
    with unharmed(client):
        for path, body in asked:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            answer = client.post(path, data)
            check(path, answer.status, answer.body, data)
            seen.add(answer.status)
    nothing_is_left(client)
    return seen


NUMBERS = (
    *("1e400", "-1e400", "1e-400", "-0.0", "-0", "1e308", "5e-324", "1E+99999", "-1", "1.5"),
    *(str(2**31), str(2**63), str(2**64), str(2**128), "9" * 4000, "-" + "9" * 4000),
    *("9" * 5000, "1." + "0" * 5000, "0." + "0" * 5000 + "1", "1e" + "9" * 400),
)


def test_numbers_of_any_size_are_taken_or_refused(served):
    def body(name, number):
        short = "" if name == "max_new_tokens" else '"max_new_tokens": 1, '
        return f'{{"inputs": "a", "parameters": {{{short}"{name}": {number}}}}}'.encode()

    names = [*RANGES, *REQUEST_RANGES]
    asked = [("/generate", body(name, number)) for name, number in product(names, NUMBERS)]
    assert statuses(served, asked) == {200, 400}


@pytest.mark.parametrize("number", [2, 2**31, 2**64, 10**300])
def test_astronomical_counts_are_refused(served, number):
    counts = ("best_of", "top_n_tokens", "max_new_tokens", "min_new_tokens", "truncate")
    asked = [
        (path, request("a", **{name: number * 1000})) for path, name in product(TGI_ROUTES, counts)
    ]
    chat = {"messages": [{"role": "user", "content": "a"}]}
    for name in ("n", "best_of", "max_tokens", "logprobs", "top_logprobs", "seed"):
        asked += [
            ("/v1/completions", {"prompt": "a", name: number * 10**20}),
            ("/v1/chat/completions", {**chat, name: number * 10**20}),
        ]
    assert statuses(served, asked) == {400}


DEEP_PLACES = (
    '{"inputs": %s}',
    '{"inputs": "a", "parameters": %s}',
    '{"inputs": "a", "unknown": %s}',
    '{"inputs": "a", "parameters": {"logit_bias": %s}}',
    '{"inputs": "a", "parameters": {"watermark": %s}}',
    '{"inputs": "a", "parameters": {"stop": %s}}',
    '{"inputs": "a", "parameters": {"grammar": {"type": "json", "value": %s}}}',
    '{"inputs": "a", "parameters": {"grammar": {"type": "regex", "value": %s}}}',
    '{"inputs": "a", "parameters": {"grammar": {"type": "json", "value": {"const": %s}}}}',
    '{"inputs": "a", "parameters": {"grammar": {"type": "json_schema", "value": {"schema": %s}}}}',
    '{"prompt": %s}',
    '{"prompt": "a", "response_format": {"type": "json", "value": %s}}',
    '{"prompt": "a", "stream_options": %s}',
    '{"messages": %s}',
    '{"messages": [{"role": "user", "content": %s}]}',
    '{"messages": [{"role": %s, "content": "a"}]}',
)


# the last ones that can be read at all are the ones that what follows may stumble over
@pytest.mark.parametrize("depth", [70, 300, 900, 940, 960, 970, 980, 985, 990, 995, 100_000])
def test_deep_nesting_is_refused_wherever_it_stands(served, depth):
    asked = []
    for place, (opening, closing) in product(DEEP_PLACES, (("[", "]"), ('{"a":', "}"))):
        body = place % (opening * depth + "0" + closing * depth)
        paths = OPENAI_ROUTES if place.startswith(('{"prompt', '{"mess')) else ("/generate",)
        asked += [(path, body.encode()) for path in paths]
    assert statuses(served, asked) == {400}


def test_many_of_anything_are_refused_in_few_words(served):
    many = 100_000
    names = {f"unknown {number}": 0 for number in range(many)}
    asked = [
        ("/generate", {"inputs": "a", **names}),
        ("/generate", request("a", **names)),
        ("/generate", request("a", stop=["a"] * many)),
        ("/generate", request("a", stop=[0] * many)),
        ("/generate", request("a", stop=["a" * MEGABYTE])),
        ("/generate", request("a", logit_bias={str(number): 1 for number in range(many)})),
        ("/generate", request("a", logit_bias={f"{number}x": 1 for number in range(many)})),
        ("/generate", request("a", watermark=names)),
        ("/generate", request("a", adapter_id="a" * MEGABYTE)),
        ("/generate", {"inputs": "a" * MEGABYTE}),
        ("/generate", {"inputs": "\U0001f44d" * 100_000}),
        ("/v1/completions", {"prompt": ["a"] * many}),
        ("/v1/completions", {"prompt": "a", **names}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}] * 20_000}),
        ("/v1/chat/completions", {"messages": [0] * many}),
        ("/tokenize", {"inputs": "a", **names}),
        ("/trace", {"inputs": "a", **names}),
        ("/trace", {"inputs": "a", "tokens": [97] * many}),
        ("/trace", {"inputs": "a", "tokens": ["a"] * many}),
        ("/trace", {"inputs": "a", "alternatives": [10**400] * 1000}),
    ]
    assert statuses(served, asked) == {400}


GRAMMAR = b'{"inputs": "a", "parameters": {"grammar": {"type": "%s}}}'


def test_what_is_no_text_is_refused(served):
    form = '{"inputs": "%s"}'
    bodies = [
        *(form.encode() % data for data in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80")),
        *(form.encode() % data for data in (b"\x00", b"\x1f", b"\\x00", b"\\ud800", b"\\udc00a")),
        *((form % "a").encode(coding) for coding in ("utf-16", "utf-32", "utf-8-sig")),
        b"\0" * 1000,
        b"\xff" * 1000,
        b'{"inputs": "a"}{"inputs": "b"}',
        b'{"inputs": "a", "parameters": {"stop": ["\\udfff"]}}',
        b'{"inputs": "a", "parameters": {"\\ud800": 1}}',
        *(GRAMMAR % data for data in (b'regex", "value": "\\ud800"', b'json", "value": "\\ud800"')),
        GRAMMAR % b'json", "value": {"const": "\\ud800"}',
        GRAMMAR % b'json", "value": {"\\ud800": 1}',
    ]
    assert statuses(served, list(product(TGI_ROUTES, bodies))) == {400}


REGEX_BOMBS = (
    *("(a+)+$", "(a|a)*b", "(x+x+)+y", "(a{1,1000}){1,1000}", "a{99999999999999999999}"),
    *("(a|b)*a(a|b){30}", "(.*a){25}", "(" * 10_000 + "a" + ")" * 10_000, "[" * 10_000),
    *("(a)\\1", "(?=a)b", "(?R)", "(", "*", "[z-a]", "\\p{Nonsense}", "a" * MEGABYTE),
    *("|".join(f"a{number}" for number in range(50_000)), ".{1,100000}a.{1,100000}", ""),
)
RING = {f"r{i}": {"allOf": [{"$ref": f"#/$defs/r{(i + 1) % 300}"}]} for i in range(300)}
FORKS = {"anyOf": [{"minimum": 1}, {"maximum": -1}, {"multipleOf": 7}]}
SCHEMA_BOMBS = (
    *({"$ref": "#"}, {"$ref": "#/$defs/r0", "$defs": RING}, {"not": {"$ref": "#"}}),
    *({"$ref": "http://127.0.0.1:9/x"}, {"$ref": "file:///etc/passwd"}, {"$ref": "#/nowhere"}),
    *({"$id": "http://[", "type": "null"}, {"$schema": "http://[", "type": "null"}),
    {"enum": [f"{number}" for number in range(100_000)]},
    {"type": "array", "minItems": 10**9, "items": {"type": "null"}},
    {"type": "array", "minItems": 10**400},
    {"type": "string", "minLength": 10**18, "maxLength": 10**18},
    {"type": "integer", "multipleOf": 1e-300},
    {"type": "number", "minimum": 1e308, "multipleOf": 3.3e-307},
    {"type": "integer", "minimum": -(10**300), "maximum": 10**300, "multipleOf": 10**150 + 1},
    {"type": "string", "pattern": "(a{1,1000}){1,1000}"},
    {"allOf": [FORKS] * 60},
    {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(20_000)}},
    {"type": "object", "patternProperties": {f"^{a}.*{b}$": {} for a in "abcdef" for b in "uvw"}},
    {"type": "object", "required": [f"p{i}" for i in range(300)], "additionalProperties": True},
    *({"enum": []}, False, {"type": "nonsense"}, {"properties": 5}, {"required": ["a", "a"]}),
)


@pytest.mark.parametrize("kind", ["regex", "json"])
def test_bombs_among_grammars_are_defused(served, kind):
    bombs = REGEX_BOMBS if kind == "regex" else SCHEMA_BOMBS
    asked = [
        ("/generate_stream", request("a", max_new_tokens=3, grammar={"type": kind, "value": bomb}))
        for bomb in bombs
    ]
    assert statuses(served, asked) <= {200, 400, 424}
    good = {"type": "regex", "value": "[ab]{2}"}
    answer = served.post("/generate", request("a", grammar=good))
    assert answer.status == 200
    assert set(answer.json()["generated_text"]) <= {"a", "b"}


def test_grammars_that_nobody_asks_for_again_are_not_kept_without_bound(serve):
    limits = Limits(grammar_cache_bytes=MEGABYTE, max_total_tokens=60, max_input_tokens=50)
    client = serve(request_limits=limits)

    def ask(numbers):
        for number in numbers:
            words = [f"word {number} {index}" for index in range(300)]
            grammar = {"type": "json", "value": {"enum": words}}
            asked = request("a", max_new_tokens=2, grammar=grammar)
            assert client.post("/generate", asked).status == 200

    ask(range(20))
    before = resident_bytes(os.getpid())
    ask(range(20, 120))
    assert resident_bytes(os.getpid()) - before < 20 * MEGABYTE


@pytest.mark.parametrize("size", [2_000_000, 3_000_000, 15_000_000])
def test_huge_bodies_are_refused_without_being_kept(served, size):
    body = b'{"inputs": "' + b"a" * size + b'"}'
    assert statuses(served, [(path, body) for path in TGI_ROUTES]) == {413}
    assert ServerLimits().max_body_bytes == 2_000_000
