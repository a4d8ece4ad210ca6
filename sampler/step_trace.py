"""A traced step of a request: which token it asks about, and what the answer looks like."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sampler.candidate import Plan, forbid_ends
from sampler.errors import GrammarError, InvalidParameterError, shown
from sampler.events import Token, wire_logprob
from sampler.grammar import allocate_token_bitmask
from sampler.grammar.compiler import AnyMatcher
from sampler.limits import Limits
from sampler.request import GenerateRequest
from sampler.trace import MASK, Stage, removed_by, trace_step
from sampler.vocabulary import Vocabulary
from sampler.wire import TRACE, Draft, raise_any

_DEFAULT_TOP_N = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """What becomes of one id at a step.

    Attributes
    ----------
    id, text, special : as those of a `Token`
    logprobs : after each stage, -inf where it is not left
    removed_by : the stage that removed it; None if it can be drawn
    reason : why the mask forbids it; None if something else removed it
    """

    id: int
    text: str
    special: bool
    logprobs: tuple[float, ...]
    removed_by: str | None
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """The wire form; a logprob that is not finite is null."""
        return {
            "id": self.id,
            "text": self.text,
            "special": self.special,
            "logprobs": [wire_logprob(logprob) for logprob in self.logprobs],
            "removed_by": self.removed_by,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepTrace:
    """What each processor makes of the next token of a request.

    Attributes
    ----------
    request : the validated request
    stages : as `sampler.trace_step` gives them
    listed : the tokens that each stage lists, parallel to `stages`
    alternatives : each id that some stage lists or that was asked for, in that order
    """

    request: GenerateRequest
    stages: tuple[Stage, ...]
    listed: tuple[tuple[Token, ...], ...]
    alternatives: tuple[Alternative, ...]

    def to_dict(self) -> dict[str, Any]:
        """The wire form."""
        stages = [
            {
                "name": stage.name,
                "size": stage.size,
                "tokens": [token.to_dict() for token in tokens],
            }
            for stage, tokens in zip(self.stages, self.listed, strict=True)
        ]
        return {"stages": stages, "alternatives": [other.to_dict() for other in self.alternatives]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request for a trace after everything that can be wrong with it has been looked at.

    Attributes
    ----------
    plan : of the request without its trace
    token_ids : generated so far
    top_n : ids that each stage lists
    alternatives : ids to tell of besides
    matcher : behind the tokens so far; None without a grammar
    """

    plan: Plan
    token_ids: tuple[int, ...]
    top_n: int
    alternatives: tuple[int, ...]
    matcher: "AnyMatcher | None"

    @property
    def row(self) -> Plan:
        """The plan of a sequence whose prompt ends with the tokens so far, and nothing else."""
        request = replace(self.plan.request, best_of=1, decoder_input_details=False)
        prompt = (*self.plan.prompt_token_ids, *self.token_ids)
        return replace(self.plan, request=request, prompt_token_ids=prompt, grammar=None)

    def answer(self, logits: npt.NDArray[np.float32]) -> StepTrace:
        """What is made of float32[V]; LogitsError when nothing can be drawn from it."""
        prompt = self.plan.prompt_token_ids
        parameters, mask = self.plan.request.parameters, self._bitmask()
        stages = trace_step(logits, parameters, prompt, self.token_ids, bitmask=mask, n=self.top_n)
        ids = dict.fromkeys(int(i) for stage in stages for i in stage.token_ids)
        ids |= dict.fromkeys(self.alternatives)
        removed = {token_id: removed_by(stages, token_id) for token_id in ids}
        reasons = self._reasons([token_id for token_id in ids if removed[token_id] == MASK])
        alternatives = (
            Alternative(
                **_named(token_id, self.plan.vocabulary),
                logprobs=tuple(stage.logprob(token_id) for stage in stages),
                removed_by=removed[token_id],
                reason=reasons.get(token_id),
            )
            for token_id in ids
        )
        return StepTrace(
            request=self.plan.request,
            stages=tuple(stages),
            listed=tuple(tuple(self._tokens(stage)) for stage in stages),
            alternatives=tuple(alternatives),
        )

    def _bitmask(self) -> npt.NDArray[np.int32] | None:
        """int32[words], what may come next; None if that is everything."""
        if self.matcher is None and not self._too_short:
            return None
        bitmask = allocate_token_bitmask(1, self.plan.vocabulary.size)
        if self.matcher is not None:
            self.matcher.fill_next_token_bitmask(bitmask)
        if self._too_short:
            forbid_ends(bitmask[0], self.plan.vocabulary, self.matcher)
        words: npt.NDArray[np.int32] = bitmask[0]
        return words

    @property
    def _too_short(self) -> bool:
        return len(self.token_ids) < self.plan.request.stopping.min_new_tokens

    def _tokens(self, stage: Stage) -> Iterator[Token]:
        for token_id, logprob in zip(
            stage.token_ids.tolist(), stage.logprobs.tolist(), strict=True
        ):
            yield Token(**_named(token_id, self.plan.vocabulary), logprob=logprob)

    def _reasons(self, token_ids: Sequence[int]) -> dict[int, str]:
        """Why the mask forbids each of these tokens: the grammar, or it is an end too early."""
        least = self.plan.request.stopping.min_new_tokens
        early = f"no end of sequence before `min_new_tokens` = {least} tokens"
        reasons = dict.fromkeys(token_ids, early)
        if self.matcher is None:
            return reasons
        try:
            refusals = self.matcher.explain_tokens(token_ids)
        except GrammarError as error:  # what is forbidden stays so
            return dict.fromkeys(token_ids, f"why is more than can be told: {error}")
        vocabulary = self.plan.vocabulary
        text = (i for i in self.token_ids if i not in vocabulary.special_token_ids)
        before = b"".join(map(vocabulary.token_bytes, text))
        told = {token_id: refusal.describe(before) for token_id, refusal in refusals.items()}
        return reasons | told


def _named(token_id: int, vocabulary: Vocabulary) -> dict[str, Any]:
    special = token_id in vocabulary.special_token_ids
    return {"id": token_id, "text": vocabulary.token_text(token_id), "special": special}


def read_question(
    body: object, limits: Limits, vocab_size: int, planned: Callable[[Any], Plan]
) -> Question:
    """What the wire form of a trace asks for.

    Parameters
    ----------
    body : see `Generator.trace`
    limits : of the generator
    vocab_size : ids must be below it
    planned : the plan of a request without what a trace has more

    Raises
    ------
    InvalidParameterError, GrammarError : what is wrong with it; all wrong values at once
    """
    draft = Draft()
    request = body
    if isinstance(body, Mapping):
        draft.read(TRACE, body)
        request = {name: value for name, value in body.items() if name not in TRACE}
    problems = [*draft.problems, *_problems(draft.values, limits, vocab_size)]
    try:
        plan = planned(request)
    except InvalidParameterError as error:
        raise_any([*error.problems, *problems])
        raise
    token_ids = draft.values.get("tokens", ())
    given, most = len(plan.prompt_token_ids), limits.max_total_tokens
    if given + len(token_ids) >= most:
        problems.append(
            f"`inputs` tokens + `tokens` must be < {most}."
            f" Given: {given} `inputs` tokens and {len(token_ids)} `tokens`"
        )
    raise_any(problems)
    return Question(
        plan=plan,
        token_ids=token_ids,
        top_n=draft.values.get("top_n", min(_DEFAULT_TOP_N, limits.max_top_n_tokens)),
        alternatives=draft.values.get("alternatives", ()),
        matcher=_matcher_behind(plan, token_ids),
    )


def _problems(values: Mapping[str, Any], limits: Limits, vocab_size: int) -> Iterator[str]:
    top_n, most = values.get("top_n", 1), limits.max_top_n_tokens
    if not 0 < top_n <= most:
        yield f"`top_n` must be > 0 and <= {most}. Given: {shown(top_n)}"
    for name, longest in (("tokens", limits.max_total_tokens - 1), ("alternatives", most)):
        token_ids = values.get(name, ())
        if len(token_ids) > longest:
            yield f"`{name}` must have <= {longest} ids. Given: {len(token_ids)}"
            continue
        for index, token_id in enumerate(token_ids):
            if token_id >= vocab_size:
                yield f"`{name}[{index}]` must be < {vocab_size}. Given: {shown(token_id)}"


def _matcher_behind(plan: Plan, token_ids: tuple[int, ...]) -> "AnyMatcher | None":
    """What follows the grammar of `plan`, behind these tokens."""
    if plan.grammar is None:
        return None
    matcher = plan.grammar.matcher()
    count = matcher.accept_tokens(token_ids)
    if count < len(token_ids):
        refusal = matcher.explain_token(token_ids[count])
        raise InvalidParameterError(
            f"`tokens[{count}]` must be a token that the grammar allows."
            f" Given: {token_ids[count]}; {refusal}"
        )
    return matcher
