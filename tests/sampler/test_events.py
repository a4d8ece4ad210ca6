"""Events and details: the keys of the schema in its order, and JSON that any client reads."""

import json
import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampler.errors import IncompleteStreamError, InvalidParameterError
from sampler.events import (
    BestOfSequence,
    Details,
    GenerateResponse,
    PrefillToken,
    StreamDetails,
    StreamEvent,
    Token,
    to_sse,
    wire_logprob,
)

NEW = Token(id=2084, text=" new", logprob=float(np.float32(-2.356847)), special=False)
OLD = Token(id=7, text="", logprob=-math.inf, special=True)
NEW_WIRE = {"id": 2084, "text": " new", "logprob": -2.356847, "special": False}
OLD_WIRE = {"id": 7, "text": "", "logprob": None, "special": True}
FIRST = PrefillToken(id=1, text="<s>", logprob=None)
FIRST_WIRE = {"id": 1, "text": "<s>", "logprob": None}


def assert_same_with_key_order(wire, expected):
    assert json.dumps(wire) == json.dumps(expected)


def test_an_event_before_the_last_has_null_text_and_details():
    assert to_sse(StreamEvent(index=5, token=NEW)) == (
        'data: {"index":5,"token":{"id":2084,"text":" new","logprob":-2.356847,"special":false},'
        '"generated_text":null,"details":null}\n\n'
    )


def test_top_tokens_stand_between_token_and_text_only_where_there_are_any():
    event = StreamEvent(index=1, token=NEW, top_tokens=(NEW, OLD))
    assert_same_with_key_order(
        event.to_dict(),
        {
            "index": 1,
            "token": NEW_WIRE,
            "top_tokens": [NEW_WIRE, OLD_WIRE],
            "generated_text": None,
            "details": None,
        },
    )


def test_the_last_event_has_the_text_and_the_four_details_of_the_schema():
    details = StreamDetails(finish_reason="length", generated_tokens=2, seed=None, input_length=3)
    event = StreamEvent(index=2, token=NEW, generated_text="", details=details)
    assert_same_with_key_order(
        event.to_dict(),
        {
            "index": 2,
            "token": NEW_WIRE,
            "generated_text": "",
            "details": {
                "finish_reason": "length",
                "generated_tokens": 2,
                "seed": None,
                "input_length": 3,
            },
        },
    )


def test_stream_details_carry_what_else_was_asked_for():
    loser = BestOfSequence(
        generated_text="x", finish_reason="stop_sequence", generated_tokens=1, seed=9
    )
    details = StreamDetails(
        finish_reason="eos_token",
        generated_tokens=2,
        seed=2**64 - 1,
        input_length=1,
        prefill=(FIRST,),
        best_of_sequences=(loser,),
        grammar_complete=False,
        warnings=("`parameters.typo` is ignored",),
    )
    assert_same_with_key_order(
        details.to_dict(),
        {
            "finish_reason": "eos_token",
            "generated_tokens": 2,
            "seed": 2**64 - 1,
            "input_length": 1,
            "prefill": [FIRST_WIRE],
            "best_of_sequences": [
                {
                    "generated_text": "x",
                    "finish_reason": "stop_sequence",
                    "generated_tokens": 1,
                    "seed": 9,
                    "prefill": [],
                    "tokens": [],
                }
            ],
            "grammar_complete": False,
            "warnings": ["`parameters.typo` is ignored"],
        },
    )


def test_a_prompt_that_was_asked_for_is_there_even_when_it_is_empty():
    details = StreamDetails(
        finish_reason="length", generated_tokens=1, seed=None, input_length=0, prefill=()
    )
    assert details.to_dict()["prefill"] == []


def test_details_always_have_prefill_and_tokens():
    details = Details(finish_reason="length", generated_tokens=0, seed=None)
    assert_same_with_key_order(
        GenerateResponse(generated_text="a", details=details).to_dict(),
        {
            "generated_text": "a",
            "details": {
                "finish_reason": "length",
                "generated_tokens": 0,
                "seed": None,
                "prefill": [],
                "tokens": [],
            },
        },
    )


def test_details_have_the_rest_where_there_is_any():
    loser = BestOfSequence(
        generated_text="x",
        finish_reason="length",
        generated_tokens=1,
        seed=9,
        tokens=(OLD,),
        top_tokens=((NEW,),),
        grammar_complete=True,
    )
    details = Details(
        finish_reason="length",
        generated_tokens=1,
        seed=8,
        prefill=(FIRST,),
        tokens=(NEW,),
        best_of_sequences=(loser,),
        top_tokens=((NEW, OLD),),
        grammar_complete=True,
        warnings=("narrowed",),
    )
    assert_same_with_key_order(
        details.to_dict(),
        {
            "finish_reason": "length",
            "generated_tokens": 1,
            "seed": 8,
            "prefill": [FIRST_WIRE],
            "tokens": [NEW_WIRE],
            "best_of_sequences": [
                {
                    "generated_text": "x",
                    "finish_reason": "length",
                    "generated_tokens": 1,
                    "seed": 9,
                    "prefill": [],
                    "tokens": [OLD_WIRE],
                    "top_tokens": [[NEW_WIRE]],
                    "grammar_complete": True,
                }
            ],
            "top_tokens": [[NEW_WIRE, OLD_WIRE]],
            "grammar_complete": True,
            "warnings": ["narrowed"],
        },
    )


def test_a_response_without_details_has_no_such_key():
    assert GenerateResponse(generated_text="a").to_dict() == {"generated_text": "a"}


@pytest.mark.parametrize(
    "logprob", [None, math.nan, math.inf, -math.inf, np.float32("nan"), -1e39, -1e300]
)
def test_a_logprob_that_is_not_finite_is_null(logprob):
    assert wire_logprob(logprob) is None
    assert "NaN" not in to_sse(
        StreamEvent(index=1, token=Token(id=0, text="", logprob=logprob, special=False))
    )


def test_a_certain_token_has_logprob_zero_without_a_sign():
    assert json.dumps(wire_logprob(-0.0)) == "0.0"


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_logprob_is_the_shortest_decimal_of_its_float32(value):
    wire = wire_logprob(value)
    assert type(wire) is float
    assert struct.pack("f", wire + 0.0) == struct.pack("f", value + 0.0)
    significant = repr(wire).split("e")[0].strip("-").replace(".", "").strip("0")
    assert len(significant) <= 9


@given(st.text())
def test_an_event_is_one_line_of_ascii_that_reads_back(text):
    token = Token(id=1, text=text + "\u2028\u0085\x1e\r\n", logprob=-1.0, special=False)
    event = StreamEvent(index=1, token=token, generated_text=text)
    sse = to_sse(event)
    assert sse.isascii()
    assert sse.endswith("\n\n")
    (line,) = sse.removesuffix("\n\n").splitlines()
    assert line.startswith("data: {")
    assert json.loads(line.removeprefix("data: ")) == event.to_dict()


def test_an_error_is_sent_in_the_same_way():
    assert to_sse(IncompleteStreamError()) == (
        'data: {"error":"Incomplete generation stream",'
        '"error_type":"incomplete_generation_stream"}\n\n'
    )
    assert json.loads(to_sse(InvalidParameterError("é")).removeprefix("data: ")) == {
        "error": "Input validation error: é",
        "error_type": "validation",
    }


def test_events_cannot_be_changed():
    with pytest.raises(AttributeError):
        NEW.text = "x"
