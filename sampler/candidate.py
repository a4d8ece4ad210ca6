"""One sequence while it is generated: its context, grammar state, text and end.

A request has `best_of` candidates. Each is generated as if it were alone; what they share (prompt,
compiled grammar, stop strings) is immutable and belongs to the job.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sampler.detokenizer import TextStream
from sampler.errors import SamplerError
from sampler.events import FinishReason, Token
from sampler.grammar.compiler import AnyGrammar, AnyMatcher
from sampler.kernels.philox import derived_seed
from sampler.model import SequenceContext
from sampler.parameters import SamplingParameters
from sampler.request import GenerateRequest
from sampler.stopping import StopStrings
from sampler.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A request after everything that can be wrong with it has been looked at.

    Attributes
    ----------
    request : the validated request
    vocabulary : of the tokenizer
    prompt_token_ids : truncated, never empty
    max_new_tokens : how many tokens fit or were asked for, >= 1
    seed : of candidate 0, also when the request gave none
    stop : the stop strings
    grammar : compiled, or None
    """

    request: GenerateRequest
    vocabulary: Vocabulary
    prompt_token_ids: tuple[int, ...]
    max_new_tokens: int
    seed: int
    stop: StopStrings
    grammar: "AnyGrammar | None"

    def parameters(self, number: int) -> SamplingParameters:
        """What candidate `number` is sampled with: the request's parameters, a seed of its own."""
        seed = int(derived_seed(np.uint64(self.seed), number))
        return replace(self.request.parameters, seed=seed)


@dataclass(frozen=True, slots=True)
class Draw:
    """What the batch sampler answered for one row."""

    token_id: int
    logprob: np.float32
    processed_logprob: float
    top_token_ids: npt.NDArray[np.int64]
    top_logprobs: npt.NDArray[np.float32]


class Candidate:
    """One candidate of a plan; `finish_reason` is None until it has its last token.

    Attributes
    ----------
    context : the token ids, and what the model sees of them
    tokens, top_tokens : the events so far, parallel lists
    score : sum of the processed logprobs
    matcher : what follows the grammar of the request; None without one
    """

    def __init__(self, plan: Plan, number: int, sequence_id: int, feed_one_by_one: bool) -> None:
        self.plan = plan
        self.parameters = plan.parameters(number)
        self.context = SequenceContext(sequence_id, plan.prompt_token_ids, feed_one_by_one)
        self.tokens: list[Token] = []
        self.top_tokens: list[tuple[Token, ...]] = []
        self.score = 0.0
        self.finish_reason: FinishReason | None = None
        self.matcher = plan.grammar.matcher() if plan.grammar else None
        self._text = TextStream(plan.vocabulary, plan.stop, plan.request.stopping.trim_stop)
        self._spelled = 0  # bytes of the tokens that are not special

    @property
    def generated_text(self) -> str:
        """The text so far, behind the whole prompt if the request wants that."""
        request = self.plan.request
        return (request.inputs if request.return_full_text else "") + self._text.text

    @property
    def grammar_complete(self) -> bool | None:
        """Whether the text is one the grammar accepts; None without a grammar."""
        if self.matcher is None:
            return None
        # a stop string can cut text that the matcher has already seen
        uncut = len(self._text.text.encode()) == self._spelled
        return uncut and (self.matcher.is_accepting() or self.matcher.is_terminated())

    @property
    def restricted(self) -> bool:
        """Whether the next token needs a bitmask."""
        return self.matcher is not None or self._too_short

    @property
    def _too_short(self) -> bool:
        return len(self.tokens) < self.plan.request.stopping.min_new_tokens

    def forbid_early_end(self, row: npt.NDArray[np.int32]) -> None:
        """None; forbids the ends of sequence below `min_new_tokens` in a row of a bitmask."""
        if self._too_short:
            forbid_ends(row, self.plan.vocabulary, self.matcher)

    def take(self, draw: Draw) -> None:
        """Appends the drawn token; sets `finish_reason` when it was the last."""
        if self.matcher is not None and not self.matcher.accept_token(draw.token_id):
            raise SamplerError(f"the grammar does not accept token {draw.token_id} that it allowed")
        vocabulary, stopping = self.plan.vocabulary, self.plan.request.stopping
        self.context.append(draw.token_id)
        self.score += draw.processed_logprob
        full = len(self.tokens) + 1 >= self.plan.max_new_tokens
        ended = draw.token_id in vocabulary.eos_token_ids and not stopping.ignore_eos
        text = self._text.push(draw.token_id, last=full or ended)
        if draw.token_id not in vocabulary.special_token_ids:
            self._spelled += len(vocabulary.token_bytes(draw.token_id))
        self.tokens.append(_token(draw.token_id, text.text, draw.logprob, text.special))
        self.top_tokens.append(
            tuple(
                self._alone(int(token_id), logprob)
                for token_id, logprob in zip(draw.top_token_ids, draw.top_logprobs, strict=True)
                if token_id >= 0
            )
        )
        if full:
            self.finish_reason = "length"
        elif ended:
            self.finish_reason = "eos_token"
        elif text.stopped:
            self.finish_reason = "stop_sequence"

    def _alone(self, token_id: int, logprob: np.float32) -> Token:
        vocabulary = self.plan.vocabulary
        special = token_id in vocabulary.special_token_ids
        return _token(token_id, vocabulary.token_text(token_id), logprob, special)


def forbid_ends(
    row: npt.NDArray[np.int32], vocabulary: Vocabulary, matcher: "AnyMatcher | None"
) -> None:
    """None; forbids the ends of sequence, unless a finished grammar allows nothing else."""
    words = row.view(np.uint32)
    allowed = words.copy()
    for token_id in vocabulary.eos_token_ids:
        words[token_id >> 5] &= ~np.uint32(1 << (token_id & 31))
    if matcher is not None and not words.any():
        words[:] = allowed


def _token(token_id: int, text: str, logprob: Any, special: bool) -> Token:
    return Token(id=token_id, text=text, logprob=float(logprob), special=special)
