"""What a request is answered with: token events, details, and their wire form.

These are plain values without I/O. Every `to_dict` gives exactly the keys of TGI's schema, in its
order, followed by ours where the request asked for them; keys that TGI leaves out are left out.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sampler.errors import SamplerError

FinishReason = Literal["length", "eos_token", "stop_sequence"]
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode  # made once: it is slow
_LARGEST = float(np.finfo(np.float32).max)


def wire_logprob(logprob: float | None) -> float | None:
    """The shortest decimal that reads back as the same float32; None when that is not finite.

    JSON then says -2.356847 where the float64 of the same float32 is -2.3568470478057861.
    """
    if logprob is None or not abs(logprob) <= _LARGEST:  # NaN is not, either
        return None
    return float(str(np.float32(logprob))) + 0.0  # + 0.0 turns -0.0 into 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token, generated or reported as an alternative.

    Attributes
    ----------
    id : token id
    text : what this token adds to the text; "" while a character is incomplete
    logprob : natural logarithm of its probability, -inf to 0
    special : whether it is a special token, whose text is no part of `generated_text`
    """

    id: int
    text: str
    logprob: float
    special: bool

    def to_dict(self) -> dict[str, Any]:
        """The wire form; a logprob that is not finite is null."""
        return {
            "id": self.id,
            "text": self.text,
            "logprob": wire_logprob(self.logprob),
            "special": self.special,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillToken:
    """One token of the prompt.

    Attributes
    ----------
    id : token id
    text : of this token alone
    logprob : under the model's own distribution; None for the first token, which nothing precedes
    """

    id: int
    text: str
    logprob: float | None

    def to_dict(self) -> dict[str, Any]:
        """The wire form; a logprob that is not finite is null."""
        return {"id": self.id, "text": self.text, "logprob": wire_logprob(self.logprob)}


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfSequence:
    """A candidate that did not win.

    Attributes
    ----------
    generated_text : without special tokens
    finish_reason : why it ended
    generated_tokens : how many tokens were drawn, the last one included
    seed : gives this candidate again with `best_of` = 1; None when decoding was greedy
    prefill : tokens of the prompt, if the request asked for them
    tokens : every token
    top_tokens : alternatives of every token, parallel to `tokens`; () when none were asked for
    grammar_complete : whether the text is a whole one of the grammar; None without a grammar
    """

    generated_text: str
    finish_reason: FinishReason
    generated_tokens: int
    seed: int | None
    prefill: Sequence[PrefillToken] = ()
    tokens: Sequence[Token] = ()
    top_tokens: Sequence[Sequence[Token]] = ()
    grammar_complete: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        """The wire form, `top_tokens` and `grammar_complete` only where there are any."""
        return {
            "generated_text": self.generated_text,
            "finish_reason": self.finish_reason,
            "generated_tokens": self.generated_tokens,
            "seed": self.seed,
            "prefill": _wire_list(self.prefill),
            "tokens": _wire_list(self.tokens),
            **_wire_top_tokens(self.top_tokens),
            **_wire_extras(self.grammar_complete),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """How a whole generation went (`POST /generate`).

    Attributes
    ----------
    finish_reason : why it ended
    generated_tokens : how many tokens were drawn, the last one included
    seed : draws the same tokens again; None when decoding was greedy
    prefill : tokens of the prompt, if the request asked for them
    tokens : every token
    best_of_sequences : the candidates that did not win
    top_tokens : alternatives of every token, parallel to `tokens`; () when none were asked for
    grammar_complete : whether the text is a whole one of the grammar; None without a grammar
    warnings : what was ignored or narrowed
    """

    finish_reason: FinishReason
    generated_tokens: int
    seed: int | None
    prefill: Sequence[PrefillToken] = ()
    tokens: Sequence[Token] = ()
    best_of_sequences: Sequence[BestOfSequence] = ()
    top_tokens: Sequence[Sequence[Token]] = ()
    grammar_complete: bool | None = None
    warnings: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """The wire form; what follows `tokens` is present only where there is any."""
        return {
            "finish_reason": self.finish_reason,
            "generated_tokens": self.generated_tokens,
            "seed": self.seed,
            "prefill": _wire_list(self.prefill),
            "tokens": _wire_list(self.tokens),
            **_wire_best_of(self.best_of_sequences),
            **_wire_top_tokens(self.top_tokens),
            **_wire_extras(self.grammar_complete, self.warnings),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDetails:
    """How a streamed generation went; stands in its last event (`POST /generate_stream`).

    Attributes
    ----------
    finish_reason : why it ended
    generated_tokens : how many tokens were drawn, the last one included
    seed : draws the same tokens again; None when decoding was greedy
    input_length : tokens of the prompt after truncation
    prefill : tokens of the prompt; None when the request did not ask for them
    best_of_sequences : the candidates that did not win
    grammar_complete : whether the text is a whole one of the grammar; None without a grammar
    warnings : what was ignored or narrowed
    """

    finish_reason: FinishReason
    generated_tokens: int
    seed: int | None
    input_length: int
    prefill: Sequence[PrefillToken] | None = None
    best_of_sequences: Sequence[BestOfSequence] = ()
    grammar_complete: bool | None = None
    warnings: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """The wire form: TGI's four keys, then ours where there is something to say."""
        return {
            "finish_reason": self.finish_reason,
            "generated_tokens": self.generated_tokens,
            "seed": self.seed,
            "input_length": self.input_length,
            **({} if self.prefill is None else {"prefill": _wire_list(self.prefill)}),
            **_wire_best_of(self.best_of_sequences),
            **_wire_extras(self.grammar_complete, self.warnings),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvent:
    """One generated token of a stream; the last event also has the whole text and the details.

    Attributes
    ----------
    index : of the token, from 1
    token : what was drawn
    top_tokens : alternatives, most probable first; () when none were asked for
    generated_text : the whole text in the last event, None before it
    details : in the last event of a request that asked for details, None otherwise
    """

    index: int
    token: Token
    top_tokens: Sequence[Token] = ()
    generated_text: str | None = None
    details: StreamDetails | None = None

    def to_dict(self) -> dict[str, Any]:
        """The wire form: `top_tokens` only where there are any, the last two keys always."""
        return {
            "index": self.index,
            "token": self.token.to_dict(),
            **({"top_tokens": _wire_list(self.top_tokens)} if self.top_tokens else {}),
            "generated_text": self.generated_text,
            "details": self.details and self.details.to_dict(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateResponse:
    """The answer to a request that is not streamed.

    Attributes
    ----------
    generated_text : without special tokens
    details : None when the request did not ask for them
    """

    generated_text: str
    details: Details | None = None

    def to_dict(self) -> dict[str, Any]:
        """The wire form; the key `details` is left out when there are none."""
        details = {} if self.details is None else {"details": self.details.to_dict()}
        return {"generated_text": self.generated_text, **details}


def to_sse(event: StreamEvent | SamplerError) -> str:
    r"""The event as server-sent event: ``data: {json}\n\n``.

    The JSON is plain ASCII: clients that read lines as text also split at U+2028, U+0085 and their
    like, which JSON allows unescaped. It has no NaN and no infinity.
    """
    return sse_data(event.to_dict())


def sse_data(value: Any) -> str:
    """A JSON value as server-sent event; see `to_sse`."""
    return f"data: {_encode(value)}\n\n"


def _wire_list(
    items: Sequence[Token] | Sequence[PrefillToken] | Sequence[BestOfSequence],
) -> list[dict[str, Any]]:
    return [item.to_dict() for item in items]


def _wire_best_of(sequences: Sequence[BestOfSequence]) -> dict[str, Any]:
    return {"best_of_sequences": _wire_list(sequences)} if sequences else {}


def _wire_top_tokens(top_tokens: Sequence[Sequence[Token]]) -> dict[str, Any]:
    return {"top_tokens": [_wire_list(step) for step in top_tokens]} if top_tokens else {}


def _wire_extras(complete: bool | None, warnings: Sequence[str] = ()) -> dict[str, Any]:
    extras: dict[str, Any] = {} if complete is None else {"grammar_complete": complete}
    return {**extras, **({"warnings": list(warnings)} if warnings else {})}
