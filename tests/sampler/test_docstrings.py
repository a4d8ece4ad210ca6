"""Docstrings name what signatures have."""

import dataclasses
import importlib
import pkgutil

import pytest
from docstrings import documented, mismatches, public_things

import sampler
from sampler import events
from sampler.limits import Limits
from sampler.parameters import SamplingParameters, Watermark
from sampler.request import GenerateRequest, StoppingCriteria

MODULES = sorted(module.name for module in pkgutil.walk_packages(sampler.__path__, "sampler."))
VALUES = [
    Limits,
    SamplingParameters,
    Watermark,
    GenerateRequest,
    StoppingCriteria,
    *(thing for thing in public_things(events) if dataclasses.is_dataclass(thing)),
]


@pytest.mark.parametrize("name", MODULES)
def test_sections_agree_with_signatures(name):
    module = importlib.import_module(name)
    assert [found for thing in public_things(module) for found in mismatches(thing)] == []


@pytest.mark.parametrize("kind", VALUES)
def test_every_field_of_a_request_and_an_event_is_described(kind):
    assert documented(kind.__doc__, "Attributes")
    assert mismatches(kind) == []


def test_what_does_not_agree_is_found():
    def function(first, *, second=1):
        """A value.

        Parameters
        ----------
        first, third : numbers
            that go on : here
        """

    @dataclasses.dataclass
    class Pair:
        """Two values.

        Attributes
        ----------
        right : a number
        left : a number
        """

        left: int
        right: int

    assert documented(function.__doc__, "Parameters") == ["first", "third"]
    assert len(mismatches(function)) == len(mismatches(Pair)) == 1
    assert mismatches(lambda: None) == [
        "test_what_does_not_agree_is_found.<locals>.<lambda> has no docstring"
    ]
