"""What a request may ask for, and what is said about more."""

import math

import pytest
from request_checks import problems, validate

from sampler.errors import InvalidParameterError
from sampler.limits import Limits
from sampler.request import validate_request

SMALL = Limits(max_input_tokens=5, max_total_tokens=8)
SAMPLED = {"do_sample": True}
ILLEGAL_BIAS = (
    "`logit_bias` of id 5 must be a number from -3.4028235e+38 to 3.4028235e+38, or -inf."
)


# ---- all problems, in order


def test_all_problems_are_told_in_the_order_of_tgi():
    wrong = {
        "grammar": {"type": "json", "value": "{"},
        "truncate": 0,
        "stop": ["", "ok"],
        "max_new_tokens": 0,
        "top_k": -1,
        "typical_p": 0,
        "top_p": 1.5,
        "frequency_penalty": 3,
        "repetition_penalty": 0,
        "temperature": -1,
        "best_of": 17,
        "seed": "5",
        "do_sample": None,
        "typo": 1,
    }
    assert problems(wrong, inputs="") == (
        f"`seed` must be an integer, >= 0 and <= {2**64 - 1}. Given: '5'",
        "`do_sample` must be true or false. Given: None",
        "`best_of` must be > 0 and <= 16. Given: 17",
        "`temperature` must be >= 0.0. Given: -1.0",
        "`repetition_penalty` must be strictly positive, >= 1e-29 and <= 1e29. Given: 0.0",
        "`frequency_penalty` must be >= -2.0 and <= 2.0. Given: 3.0",
        "`top_p` must be > 0.0 and <= 1.0. Given: 1.5",
        "`typical_p` must be > 0.0 and <= 1.0. Given: 0.0",
        "`top_k` must be >= 0. Given: -1",
        "`max_new_tokens` must be strictly positive. Given: 0",
        "`stop[0]` must have 1 to 1024 characters. Given: 0",
        "`inputs` cannot be empty",
        "`truncate` must be strictly positive and less than 4096. Given: 0",
        "grammar is not valid: expected property name enclosed in double quotes at line 1 column 2."
        " Given: '{'",
        "unknown field `parameters.typo`",
    )


@pytest.mark.parametrize(
    "values",
    [
        {"top_p": 1, "typical_p": 1.0, "top_k": 0, "temperature": 0, "frequency_penalty": 0},
        {"top_k": 10**6},
        {"temperature": 42.5, "repetition_penalty": 42.5},
        {"seed": 0, "best_of": 16, "do_sample": True, "decoder_input_details": True},
        {"best_of": 2, "min_p": 0.5},
        {"logit_bias": {"0": 1, "99": -math.inf}},
    ],
)
def test_takes_values_that_tgi_refuses_for_no_reason(values):
    request = validate({"inputs": "one", "parameters": values})
    for name in values.keys() - {"logit_bias"}:
        holders = (request, request.parameters, request.stopping)
        assert [getattr(h, name) for h in holders if hasattr(h, name)] == [values[name]]


@pytest.mark.parametrize("switch", [{}, {"temperature": 1.0}, {"temperature": 0, "top_k": 5}])
def test_best_of_needs_sampling(switch):
    assert problems({"best_of": 2, **switch}) == (
        "you must use sampling when `best_of` is > 1. Given: 2",
    )


@pytest.mark.parametrize("switch", [{"top_p": 5}, {"top_p": "0.5"}])
def test_best_of_says_nothing_about_sampling_that_a_wrong_value_may_have_meant(switch):
    assert len(problems({"best_of": 2, **switch})) == 1


@pytest.mark.parametrize("best_of", [0, 2])
def test_best_of_where_only_one_is_allowed(best_of):
    assert problems({"best_of": best_of, **SAMPLED}, limits=Limits(max_best_of=1)) == (
        f"`best_of` != 1 is not allowed for this endpoint. Given: {best_of}",
    )


def test_best_of_must_not_be_zero():
    assert problems({"best_of": 0}) == ("`best_of` must be > 0 and <= 16. Given: 0",)


# ---- lengths


@pytest.mark.parametrize(
    ("prompt", "parameters"),
    [
        (5, {}),
        (5, {"max_new_tokens": 3}),
        (1, {"max_new_tokens": 7}),
        (9, {"truncate": 5, "max_new_tokens": 3}),
        (9, {"truncate": 1, "max_new_tokens": 7}),
        (2, {"min_new_tokens": 6}),
    ],
)
def test_lengths_that_fit(prompt, parameters):
    body = {"inputs": "a " * prompt, "parameters": parameters}
    request = validate(body, limits=SMALL)
    assert request.stopping.max_new_tokens == parameters.get("max_new_tokens")


def test_more_tokens_than_fit_are_refused():
    assert problems({"max_new_tokens": 7}, inputs="a b", limits=SMALL) == (
        "`inputs` tokens + `max_new_tokens` must be <= 8."
        " Given: 2 `inputs` tokens and 7 `max_new_tokens`",
    )
    assert problems({"min_new_tokens": 7}, inputs="a b", limits=SMALL) == (
        "`inputs` tokens + `min_new_tokens` must be <= 8."
        " Given: 2 `inputs` tokens and 7 `min_new_tokens`",
    )


def test_a_prompt_above_both_limits_has_the_total_first():
    assert problems({}, inputs="a " * 8, limits=SMALL) == (
        "`inputs` tokens + `max_new_tokens` must be <= 8."
        " Given: 8 `inputs` tokens and 1 `max_new_tokens`",
        "`inputs` must have less than 5 tokens. Given: 8",
    )
    assert problems({"truncate": 6}, inputs="a " * 9, limits=SMALL) == (
        "`truncate` must be strictly positive and less than 5. Given: 6",
    )


def test_thousands_of_tokens_are_checked_and_kept_exactly():
    limits = Limits(max_total_tokens=3000)
    body = {"inputs": "one", "parameters": {"max_new_tokens": 2999}}
    assert validate(body, limits=limits).stopping.max_new_tokens == 2999
    assert len(problems({"max_new_tokens": 3000}, limits=limits)) == 1


@pytest.mark.parametrize("inputs", ["", None, 5, "\ud800", ["one"]])
def test_tokens_are_counted_only_for_text(inputs):
    def count_tokens(text):
        raise AssertionError("called")

    with pytest.raises(InvalidParameterError) as raised:
        validate_request({"inputs": inputs}, count_tokens=count_tokens)
    assert [text[:8] for text in raised.value.problems] == ["`inputs`"]


def test_a_tokenizer_that_fails_is_a_problem_among_the_others():
    def count_tokens(text):
        raise RuntimeError("no such piece")

    with pytest.raises(InvalidParameterError) as raised:
        validate_request({"inputs": "one", "parameters": {"top_p": 2}}, count_tokens=count_tokens)
    assert raised.value.problems == (
        "`top_p` must be > 0.0 and <= 1.0. Given: 2.0",
        "tokenizer error no such piece",
    )


# ---- stop strings and biases


def test_stop_strings_have_limits():
    limits = Limits(max_stop_sequences=2, max_stop_sequence_length=3)
    body = {"inputs": "one", "parameters": {"stop": ["abc", "d"]}}
    assert validate(body, limits=limits).stopping.stop == ("abc", "d")
    assert problems({"stop": ["abcd", "e", "f"]}, limits=limits) == (
        "`stop` supports up to 2 stop sequences. Given: 3",
        "`stop[0]` must have 1 to 3 characters. Given: 4",
    )


def test_biases_name_tokens_by_digits():
    body = {"inputs": "one", "parameters": {"logit_bias": {"0": 1, "12": -1.5, 7: 2.0}}}
    assert validate(body).parameters.logit_bias == {0: 1, 12: -1.5, 7: 2.0}


@pytest.mark.parametrize(
    ("bias", "problem"),
    [
        ({"-1": 1.0}, "`logit_bias` ids must be integers >= 0. Given: '-1'"),
        ({"007": 1.0}, "`logit_bias` ids must be integers >= 0. Given: '007'"),
        ({"١": 1.0}, "`logit_bias` ids must be integers >= 0. Given: '١'"),
        ({"a": 1.0}, "`logit_bias` ids must be integers >= 0. Given: 'a'"),
        ({True: 1.0}, "`logit_bias` ids must be integers >= 0. Given: True"),
        ({"100": 1.0}, "`logit_bias` ids must be < 100. Given: 100"),
        ({"5": "1"}, f"{ILLEGAL_BIAS} Given: '1'"),
        ({"5": math.inf}, f"{ILLEGAL_BIAS} Given: inf"),
        ({"5": -1e39}, f"{ILLEGAL_BIAS} Given: -1e+39"),
        ({"5": 10**400}, ILLEGAL_BIAS),
        (
            {"5": 1.0, 5: 2.0},
            "`logit_bias` must be an object that names each token id once.",
        ),
        (dict.fromkeys(map(str, range(99)), "x"), "`logit_bias` must have <= 9 entries. Given: 99"),
    ],
)
def test_wrong_biases_are_named(bias, problem):
    (found,) = problems({"logit_bias": bias}, limits=Limits(max_logit_bias=9))
    assert found.startswith(problem)


# ---- grammars


@pytest.mark.parametrize(
    "grammar",
    [
        {"type": "json", "value": {"type": "object"}},
        {"type": "json", "value": True},
        {"type": "json", "value": ' {"type": "object"} '},
        {"type": "json_object", "value": {}},
        {"type": "json_schema", "value": {"schema": {}}},
        {"type": "json_schema", "value": {"schema": {}, "name": None}},
        {"type": "json_schema", "value": {"schema": {}, "name": "x", "strict": True}},
        {"type": "regex", "value": "(["},
    ],
)
def test_a_grammar_keeps_its_wire_form(grammar):
    assert validate({"inputs": "one", "parameters": {"grammar": grammar}}).grammar == grammar


@pytest.mark.parametrize(
    ("grammar", "problem"),
    [
        (
            {"value": {}},
            "`grammar.type` must be 'json', 'json_object', 'json_schema' or 'regex'. Given: None",
        ),
        ({"type": [], "value": {}}, "`grammar.type` must be 'json', "),
        ({"type": "json"}, "`grammar.value` is missing"),
        ({"type": "regex", "value": {}}, "`grammar.value` must be a string. Given: {}"),
        ({"type": "regex", "value": "\ud800"}, "`grammar.value` must be Unicode text"),
        ({"type": "json_schema", "value": "x"}, "`grammar.value` must be an object."),
        ({"type": "json_schema", "value": {}}, "`grammar.value.schema` is missing"),
        (
            {"type": "json_schema", "value": {"schema": {}, "name": 5}},
            "`grammar.value.name` must be a string. Given: 5",
        ),
        (
            {"type": "json_schema", "value": {"schema": {}, "nam": 5}},
            "unknown field `grammar.value.nam`",
        ),
        ({"type": "regex", "value": "a", "x": 1}, "unknown field `grammar.x`"),
        ({"type": "json", "value": 5}, "grammar is not valid: a schema must be an object, true,"),
        ({"type": "json", "value": None}, "grammar is not valid: a schema must be an object, true"),
        ({"type": "json", "value": "[]"}, "grammar is not valid: a schema must be an object, true"),
        (
            {"type": "json", "value": '{"a"}'},
            "grammar is not valid: expected ':' delimiter at line",
        ),
        ({"type": "json", "value": "[" * 10**5}, "grammar is not valid: recursion limit exceeded"),
        ({"type": "json", "value": '{"const": NaN}'}, "grammar is not valid: NaN is no JSON value"),
        ({"type": "json_schema", "value": {"schema": "x"}}, "grammar is not valid: expected value"),
    ],
)
def test_a_grammar_that_is_none_is_named(grammar, problem):
    (found,) = problems({"grammar": grammar})
    assert found.startswith(problem)


@pytest.mark.parametrize("strict", [False, True])
def test_a_prompt_over_the_size_limit_is_refused_before_it_is_tokenized(strict):
    def count_tokens(text):
        raise AssertionError("it must not be tokenized")

    body = {"inputs": "é" * 51, "parameters": {}}
    with pytest.raises(InvalidParameterError, match=r"must be <= 100 bytes\. Given: 102"):
        validate_request(
            body, limits=Limits(max_input_bytes=100), count_tokens=count_tokens, strict_tgi=strict
        )
