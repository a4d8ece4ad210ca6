"""What a request may ask for: each rule yields the texts of what is wrong, in TGI's order.

The texts are TGI's where TGI has one and means the same range, each followed by what was given.
Rules look only at what could be read; one that needs a field that could not be read says nothing,
so that no problem is reported that goes away with another. `sampler.strict_tgi` is TGI's own list.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sampler.errors import InvalidParameterError, shown
from sampler.limits import Limits
from sampler.parameters import SamplingParameters, range_problem, sampling_problems
from sampler.wire import REQUEST_RANGES, Draft, read_json

CountTokens = Callable[[str], int]
_SWITCHES = ("do_sample", "temperature", "top_k", "top_p", "typical_p", "min_p")


def own_problems(draft: Draft) -> Iterator[str]:
    """What is wrong with a draft whatever the limits are."""
    values = draft.values
    yield from draft.problems
    yield from _out_of_range(values, "best_of")
    yield from sampling_problems(values)
    yield from stopping_problems(values)
    if values.get("inputs") == "":
        yield "`inputs` cannot be empty"
    yield from _out_of_range(values, "truncate")
    yield from _grammar_problems(values)


def request_problems(
    draft: Draft, limits: Limits, count_tokens: CountTokens | None, vocab_size: int | None
) -> Iterator[str]:
    """What is wrong with a draft under these limits, with this tokenizer and vocabulary."""
    values = draft.values
    yield from draft.problems
    yield from _best_of_problems(values, limits)
    yield from _needs_sampling(draft)
    yield from sampling_problems(_without_large_bias(values, limits))
    yield from stopping_problems(values)
    yield from _stop_string_problems(values, limits)
    yield from _top_n_problems(values, limits)
    yield from _logit_bias_problems(values, limits, vocab_size)
    yield from _input_problems(draft, limits, count_tokens)
    yield from _grammar_problems(values)
    if "adapter_id" in values:
        given = shown(values["adapter_id"])
        yield f"`adapter_id` must be null: there are no adapters. Given: {given}"
    yield from (f"unknown field `{path}`" for path in draft.unknown)


def stopping_problems(values: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the lengths that were asked for."""
    yield from _out_of_range(values, "max_new_tokens")
    yield from _out_of_range(values, "min_new_tokens")
    least, most = values.get("min_new_tokens", 0), values.get("max_new_tokens")
    if most is not None and 0 < most < least:
        yield (
            f"`min_new_tokens` must be <= `max_new_tokens`. Given: {shown(least)} and {shown(most)}"
        )


def _out_of_range(values: Mapping[str, Any], name: str) -> Iterator[str]:
    if name in values and (problem := range_problem(name, values[name], REQUEST_RANGES[name])):
        yield problem


def _best_of_problems(values: Mapping[str, Any], limits: Limits) -> Iterator[str]:
    best_of, most = values.get("best_of", 1), limits.max_best_of
    if most == 1 and best_of != 1:
        yield f"`best_of` != 1 is not allowed for this endpoint. Given: {shown(best_of)}"
    elif not 0 < best_of <= most:
        yield f"`best_of` must be > 0 and <= {most}. Given: {shown(best_of)}"


def _needs_sampling(draft: Draft) -> Iterator[str]:
    best_of = draft.values.get("best_of", 1)
    if best_of <= 1 or not draft.unreadable.isdisjoint(_SWITCHES):
        return
    switches = {name: draft.values[name] for name in _SWITCHES if name in draft.values}
    try:
        greedy = SamplingParameters(**switches).is_greedy
    except InvalidParameterError:
        return
    if greedy:
        yield f"you must use sampling when `best_of` is > 1. Given: {shown(best_of)}"


def _stop_string_problems(values: Mapping[str, Any], limits: Limits) -> Iterator[str]:
    stop, most = values.get("stop", ()), limits.max_stop_sequences
    if len(stop) > most:
        yield f"`stop` supports up to {most} stop sequences. Given: {len(stop)}"
    longest = limits.max_stop_sequence_length
    for index, text in enumerate(stop):
        if not 0 < len(text) <= longest:
            yield f"`stop[{index}]` must have 1 to {longest} characters. Given: {len(text)}"


def _top_n_problems(values: Mapping[str, Any], limits: Limits) -> Iterator[str]:
    asked, most = values.get("top_n_tokens", 0), limits.max_top_n_tokens
    if asked > most:
        yield f"`top_n_tokens` must be >= 0 and <= {most}. Given: {shown(asked)}"


def _without_large_bias(values: Mapping[str, Any], limits: Limits) -> Mapping[str, Any]:
    """`values` without a `logit_bias` above the limit: its entries are not looked at."""
    if len(values.get("logit_bias", ())) <= limits.max_logit_bias:
        return values
    return {name: value for name, value in values.items() if name != "logit_bias"}


def _logit_bias_problems(
    values: Mapping[str, Any], limits: Limits, vocab_size: int | None
) -> Iterator[str]:
    bias, most = values.get("logit_bias", {}), limits.max_logit_bias
    if len(bias) > most:
        yield f"`logit_bias` must have <= {most} entries. Given: {len(bias)}"
    elif vocab_size is not None:
        for token_id in bias:
            if isinstance(token_id, int) and token_id >= vocab_size:
                yield f"`logit_bias` ids must be < {vocab_size}. Given: {shown(token_id)}"


def _input_problems(
    draft: Draft, limits: Limits, count_tokens: CountTokens | None
) -> Iterator[str]:
    values, most = draft.values, limits.max_input_tokens
    truncate = values.get("truncate")
    fits = "truncate" not in draft.unreadable and (truncate is None or 0 < truncate <= most)
    if values.get("inputs") == "":
        yield "`inputs` cannot be empty"
    if truncate is not None and not fits:
        yield (
            f"`truncate` must be strictly positive and less than {most}. Given: {shown(truncate)}"
        )
    if not values.get("inputs"):
        return
    if too_long := input_size_problem(values["inputs"], limits):
        yield too_long
        return
    if count_tokens is None:
        return
    try:
        count = count_tokens(values["inputs"])
    except Exception as error:
        yield f"tokenizer error {error}"
        return
    if fits:
        input_length = count if truncate is None else min(count, truncate)
        yield from _length_problems(values, limits, input_length)


def input_size_problem(inputs: str, limits: Limits) -> str | None:
    """What is wrong with the size of a prompt; it is not tokenized then."""
    size, most = len(inputs.encode("utf-8", "surrogatepass")), limits.max_input_bytes
    return f"`inputs` must be <= {most} bytes. Given: {size}" if size > most else None


def _length_problems(values: Mapping[str, Any], limits: Limits, input_length: int) -> Iterator[str]:
    """A prompt needs room for one token, or for as many as were asked for."""
    longest, most = limits.max_input_tokens, limits.max_total_tokens
    for name in ("max_new_tokens", "min_new_tokens"):
        asked = max(1, values.get(name) or 1)
        if input_length + asked > most:
            yield (
                f"`inputs` tokens + `{name}` must be <= {most}."
                f" Given: {input_length} `inputs` tokens and {shown(asked)} `{name}`"
            )
            break
    if input_length > longest:
        yield f"`inputs` must have less than {longest} tokens. Given: {input_length}"


def _grammar_problems(values: Mapping[str, Any]) -> Iterator[str]:
    """Whether a schema is JSON at all; what it means is the compiler's."""
    grammar = values.get("grammar")
    if grammar is None or grammar["type"] == "regex":
        return
    schema = grammar["value"]
    if grammar["type"] == "json_schema":
        schema = schema["schema"]
    parsed = schema
    if isinstance(schema, str):
        try:
            parsed = read_json(schema)
        except ValueError as error:
            yield f"grammar is not valid: {error}. Given: {shown(schema)}"
            return
    if not isinstance(parsed, Mapping | bool):
        yield (
            "grammar is not valid: a schema must be an object, true, false or the text of one."
            f" Given: {shown(schema)}"
        )
