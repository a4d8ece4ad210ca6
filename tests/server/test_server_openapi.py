"""The description is of exactly what is served, and what is served is as described."""

import jsonschema
import pytest
from scripted_models import request

from sampler.limits import Limits
from sampler.parameters import RANGES
from sampler.server.assets import PageRoutes
from sampler.server.openapi import document
from sampler.server.schemas import number_schema
from sampler.wire import (
    CHAT,
    COMPLETIONS,
    PARAMETERS,
    REQUEST_RANGES,
    SAME_NAMES,
    TOP_LEVEL,
    TRACE,
)

FULL = {
    "max_new_tokens": 6,
    "ignore_eos": True,
    "do_sample": True,
    "seed": 1,
    "details": True,
    "decoder_input_details": True,
    "best_of": 2,
    "top_n_tokens": 2,
}


@pytest.fixture(scope="module")
def described():
    return document(Limits(), False, PageRoutes().types)


@pytest.fixture
def check(described):
    """Raises unless a value is what a component describes."""

    def check(name, value):
        schema = {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
        jsonschema.Draft202012Validator(schema).validate(value)

    return check


def refused(check, name, value):
    with pytest.raises(jsonschema.ValidationError):
        check(name, value)


def test_every_route_is_described_and_nothing_else(serve, described):
    client = serve()
    app = client.server.config.app
    served = {(route.path, method.lower()) for route in app.routes for method in route.methods}
    paths = {(path, method) for path, has in described["paths"].items() for method in has}
    assert paths == served - {(path, "head") for path, _ in served}
    assert client.get("/openapi.json").json() == described


def test_schemas_are_schemas_and_references_lead_somewhere(described):
    schemas = described["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    names = set()

    def walk(value):
        if isinstance(value, dict):
            names.update(v.rpartition("/")[2] for k, v in value.items() if k == "$ref")
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                walk(item)

    walk(described)
    assert names == set(schemas)


def test_every_name_of_the_wire_is_described(described):
    schemas = described["components"]["schemas"]
    assert schemas["Parameters"]["properties"].keys() == PARAMETERS.keys()
    assert schemas["CompletionRequest"]["properties"].keys() == COMPLETIONS.keys() | SAME_NAMES
    assert schemas["TraceRequest"]["properties"].keys() == TOP_LEVEL.keys() | TRACE.keys()
    assert schemas["ChatRequest"]["properties"].keys() == CHAT.keys() | SAME_NAMES


@pytest.mark.parametrize("name", [*RANGES, *REQUEST_RANGES])
def test_ranges_are_those_that_are_checked(name):
    legal = {**RANGES, **REQUEST_RANGES}[name]
    validator = jsonschema.Draft202012Validator(number_schema(legal))
    edges = [-3, -2, -1, 0, 1, 2, 5, 2**64 - 1, 2**64]
    if legal.kind is float:
        edges += [-2.5, 1e-30, 1e-29, 0.5, 1.5, 2.5, 1e29, 1e30]
    for value in edges:
        assert validator.is_valid(value) == bool(legal.holds(legal.kind(value))), value


def test_answers_are_as_described(serve, check):
    client = serve(unknown_parameters="ignore")
    grammar = {"type": "regex", "value": "[ab]{3}"}
    for parameters in ({}, FULL, {**FULL, "grammar": grammar, "ignore_eos": False, "typo": 1}):
        asked = request("ab", **{"max_new_tokens": 6, **parameters})
        check("GenerateResponse", client.post("/generate", asked).json())
        (one,) = client.post("/", asked).json()
        check("GenerateResponse", one)
        for event in client.post("/generate_stream", asked).events():
            check("StreamResponse", event)
    for parameters in ({}, FULL, {**FULL, "grammar": grammar, "logit_bias": {"97": -5}}):
        check("TraceResponse", client.post("/trace", request("ab", **parameters)).json())
    for asked in ({"inputs": "ab"}, {"inputs": ""}, {"inputs": "a", "parameters": {"typo": 1}}):
        check("Tokens", client.post("/tokenize", asked).json())


def test_errors_are_as_described(serve, check):
    client = serve(api_key="secret")
    check("Error", client.post("/generate", {}).json())
    check("Error", client.get("/nowhere").json())
    check("OpenAIError", client.post("/v1/completions", {}).json())
    client = serve()
    check("Error", client.post("/generate", {}).json())
    check("OpenAIError", client.post("/v1/completions", {}).json())


def test_requests_are_as_described(check):
    check("GenerateRequest", request("ab", **FULL))
    check("GenerateRequest", request("ab", temperature=None, grammar=None))
    check("CompletionRequest", {"prompt": ["ab"], "stop": "x", "logprobs": 2, "top_k": 3})
    check("ChatRequest", {"messages": [{"role": "user", "content": "a"}], "logprobs": True})
    check("GenerateRequest", request("ab", logit_bias={"7": 1.5}, watermark={"gamma": 0.25}))
    check("TokenizeRequest", {"inputs": "", "parameters": {"typo": 1}})
    check("TraceRequest", {"inputs": "ab", "tokens": [97] * 8191, "alternatives": [97] * 20})
    refused(check, "TraceRequest", {"inputs": "ab", "tokens": [97] * 8192})
    refused(check, "TraceRequest", {"inputs": "ab", "alternatives": [97] * 21})
    refused(check, "GenerateRequest", request("ab", logit_bias={"07": 1.5}))
    refused(check, "GenerateRequest", request("ab", watermark={"gamma": 1}))
    refused(check, "GenerateRequest", request("ab", watermark={"typo": 1}))
    refused(check, "GenerateRequest", request("ab", top_p=42.5))
    refused(check, "GenerateRequest", request("ab", best_of=17))
    refused(check, "GenerateRequest", {"inputs": ""})
    refused(check, "CompletionRequest", {"prompt": "a", "suffix": "b"})


def test_a_token_that_is_asked_for_is_described(serve):
    client = serve(api_key="secret")
    told = client.get("/openapi.json", {"authorization": "Bearer secret"}).json()
    assert told["security"] == [{"bearer": []}]
    assert told["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
