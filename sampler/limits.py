"""The one place for limits: how much a request, a grammar, a cache and a client may take."""

import math
from dataclasses import dataclass, fields

from sampler.errors import InvalidParameterError, shown

MAX_PROMPT_LOGITS_BYTES = 512 << 20  # what `prompt_logits` of a GGUF model may take for a while


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may ask for. Every field is finite and > 0.

    Attributes
    ----------
    max_input_bytes : UTF-8 size of `inputs`, looked at before it is tokenized
    max_input_tokens : prompt length in tokens, after `truncate`
    max_total_tokens : prompt and generated tokens together
    max_best_of : candidates of one request
    max_stop_sequences : stop strings of one request
    max_stop_sequence_length : characters of one stop string
    max_top_n_tokens : alternatives reported for each token
    max_logit_bias : entries of `logit_bias`
    max_grammar_bytes : UTF-8 size of a schema or pattern
    max_grammar_depth : nesting of a schema
    grammar_compile_seconds : wall-clock time of one compile
    grammar_compile_bytes : memory that one compile may take
    grammar_compile_workers : compiles at the same time, each in a process of its own
    grammar_cache_bytes : compiled grammars kept for the next request

    Raises
    ------
    InvalidParameterError : a limit that is not an integer > 0 (seconds: a number > 0)
    """

    max_input_bytes: int = 2_000_000
    max_input_tokens: int = 4096
    max_total_tokens: int = 8192
    max_best_of: int = 16
    max_stop_sequences: int = 16
    max_stop_sequence_length: int = 1024
    max_top_n_tokens: int = 20
    max_logit_bias: int = 1024
    max_grammar_bytes: int = 1 << 20
    max_grammar_depth: int = 64
    grammar_compile_seconds: float = 30.0
    grammar_compile_bytes: int = 4 << 30
    grammar_compile_workers: int = 2
    grammar_cache_bytes: int = 256 << 20

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What one client may take of a server. Every field is finite and > 0.

    Those of the connection itself (headers, idle connections, writing) are kept by ``sampler
    serve``; where the application runs in another server they are that server's to keep.

    Attributes
    ----------
    max_body_bytes : size of a request's body
    body_seconds : time until the whole body is there
    max_requests_per_client : unfinished requests of one address
    max_buffered_events : events of a stream that its reader has not taken; then its row waits
    write_seconds : time in which a reader takes nothing before its request ends
    keep_alive_seconds : silence after which a stream gets a comment
    retry_after_seconds : when to come again, told to those who are refused
    max_header_bytes : size of a request's head
    header_seconds : time until the whole head is there, from its first byte or the connection's
    idle_seconds : time that a connection may wait for its next request
    max_connections : connections at the same time
    shutdown_seconds : time that running requests have to finish when the server ends

    Raises
    ------
    InvalidParameterError : a limit that is not an integer > 0 (seconds: a number > 0)
    """

    max_body_bytes: int = 2_000_000
    body_seconds: float = 30.0
    max_requests_per_client: int = 1024
    max_buffered_events: int = 64
    write_seconds: float = 60.0
    keep_alive_seconds: float = 15.0
    retry_after_seconds: int = 1
    max_header_bytes: int = 16_384
    header_seconds: float = 10.0
    idle_seconds: int = 30
    max_connections: int = 4096
    shutdown_seconds: float = 30.0

    def __post_init__(self) -> None:
        _check(self)


def _check(limits: Limits | ServerLimits) -> None:
    problems = []
    for field in fields(limits):
        value = getattr(limits, field.name)
        accepted, noun = ((int,), "integer") if field.type is int else ((int, float), "number")
        if isinstance(value, bool) or not isinstance(value, accepted) or not 0 < value < math.inf:
            problems.append(f"`{field.name}` must be a finite {noun} > 0. Given: {shown(value)}")
    if problems:
        raise InvalidParameterError(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomatonLimits:
    """What the automaton of one grammar may take while texts are followed. Each is > 0.

    Attributes
    ----------
    max_courses : configurations that are met while one state is made
    max_states : sets of configurations
    max_text_states : states of the languages of texts, next ones included
    max_stacks : stacks of calls in all configurations
    max_bytes : memory, kept masks included
    mask_bytes : memory for kept masks; when it is full they are forgotten
    max_text_bytes : memory for the languages of texts, as far as tokens are the first to need them
    step_seconds : wall-clock time for what one token is the first one to need
    """

    max_courses: int = 1 << 18
    max_states: int = 1 << 20
    max_text_states: int = 1 << 15
    max_stacks: int = 1 << 20
    max_bytes: int = 64 << 20
    mask_bytes: int = 4 << 20
    max_text_bytes: int = 128 << 20
    step_seconds: float = 2.0
