"""One request on its way through the scheduler: its candidates, and where its events go.

A single candidate streams: each token is an event at once. Several candidates are generated as
neighbours in the batch; when all are done the winner's tokens become the events. Whoever made the
job reads from its sink; the last item is the event with `generated_text`, or an error.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sampler.candidate import Candidate, Plan
from sampler.errors import IncompleteGenerationError, IncompleteStreamError, SamplerError
from sampler.events import (
    BestOfSequence,
    Details,
    FinishReason,
    GenerateResponse,
    PrefillToken,
    StreamDetails,
    StreamEvent,
    Token,
)

Sink = Callable[[StreamEvent | SamplerError], None]


def _never() -> bool:
    return False


@dataclass(slots=True)
class Times:
    """When a request got where, in seconds of `time.perf_counter`; None is not yet.

    Attributes
    ----------
    begun : it came
    prepared : it was found valid, its grammar is compiled
    started : its first candidate has a row
    first : its first token was drawn
    ended : its last token was drawn, or it failed
    """

    begun: float = field(default_factory=time.perf_counter)
    prepared: float | None = None
    started: float | None = None
    first: float | None = None
    ended: float | None = None


class Job:
    """A plan in progress.

    Parameters
    ----------
    sink : takes the events, in the scheduler's thread
    stream : whether each event goes to the client, which then is told so when the job fails
    is_full : whether there may be no more events until some are read; asked before each step

    Attributes
    ----------
    cancelled : nobody waits for the events any more; set from any thread, once
    times : when it got where
    prefill : the prompt as far as it is scored, empty when nobody asked
    """

    def __init__(self, sink: Sink, stream: bool, is_full: Callable[[], bool] = _never) -> None:
        self.cancelled = False
        self.times = Times()
        self.is_full = is_full
        self.prefill: list[PrefillToken] = []
        self._sink = sink
        self.stream = stream
        self._candidates: list[Candidate] = []
        self._finished = 0
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan:
        """What is generated; set by `prepare`."""
        if self._plan is None:
            raise RuntimeError("the job has no plan yet")
        return self._plan

    def prepare(self, plan: Plan) -> None:
        """Gives the job its plan, before it is submitted."""
        self._plan = plan
        self.times.prepared = time.perf_counter()

    @property
    def started(self) -> int:
        """How many of its candidates have a row, or had one."""
        return len(self._candidates)

    @property
    def has_more(self) -> bool:
        """Whether candidates still wait for a row."""
        return self.started < self.plan.request.best_of

    def next_candidate(self, sequence_id: int, feed_one_by_one: bool) -> Candidate:
        """The next candidate, which is about to get a row."""
        candidate = Candidate(self.plan, self.started, sequence_id, feed_one_by_one)
        self.times.started = self.times.started or time.perf_counter()
        self._candidates.append(candidate)
        return candidate

    def cancel(self) -> None:
        """Frees the rows before the next step; nothing more is sent."""
        self.cancelled = True

    def fail(self, error: SamplerError) -> None:
        """Ends the whole request with `error`."""
        if self.stream and isinstance(error, IncompleteGenerationError):
            error = IncompleteStreamError()
        self.times.ended = time.perf_counter()
        self._send(error)
        self.cancelled = True

    def advanced(self, candidate: Candidate) -> None:
        """`candidate` has one token more; sends what can be told by now."""
        finished = candidate.finish_reason is not None
        self.times.first = self.times.first or time.perf_counter()
        self._finished += finished
        if self._finished == self.plan.request.best_of:
            self.times.ended = time.perf_counter()
        if self.plan.request.best_of == 1:
            self._send(self._event(candidate, len(candidate.tokens) - 1))
        elif self._finished == self.plan.request.best_of:
            winner = self._winner()
            for index in range(len(winner.tokens)):
                self._send(self._event(winner, index))

    def response(self) -> GenerateResponse:
        """The whole answer, once the last event was sent."""
        request = self.plan.request
        winner = self._winner()
        details = None
        if request.wants_details:
            details = Details(
                finish_reason=_reason(winner),
                generated_tokens=len(winner.tokens),
                seed=self._seed(winner),
                prefill=tuple(self.prefill),
                tokens=tuple(winner.tokens),
                best_of_sequences=self._losers(winner),
                top_tokens=_top_tokens(winner),
                grammar_complete=winner.grammar_complete,
                warnings=self._warnings(),
            )
        return GenerateResponse(generated_text=winner.generated_text, details=details)

    def _event(self, candidate: Candidate, index: int) -> StreamEvent:
        last = candidate.finish_reason is not None and index == len(candidate.tokens) - 1
        return StreamEvent(
            index=index + 1,
            token=candidate.tokens[index],
            top_tokens=candidate.top_tokens[index],
            generated_text=candidate.generated_text if last else None,
            details=self._stream_details(candidate) if last else None,
        )

    def _stream_details(self, candidate: Candidate) -> StreamDetails | None:
        request = self.plan.request
        if not request.wants_details:
            return None
        return StreamDetails(
            finish_reason=_reason(candidate),
            generated_tokens=len(candidate.tokens),
            seed=self._seed(candidate),
            input_length=len(self.plan.prompt_token_ids),
            prefill=tuple(self.prefill) if request.decoder_input_details else None,
            best_of_sequences=self._losers(candidate),
            grammar_complete=candidate.grammar_complete,
            warnings=self._warnings(),
        )

    def _losers(self, winner: Candidate) -> tuple[BestOfSequence, ...]:
        return tuple(
            BestOfSequence(
                generated_text=candidate.generated_text,
                finish_reason=_reason(candidate),
                generated_tokens=len(candidate.tokens),
                seed=self._seed(candidate),
                prefill=tuple(self.prefill),
                tokens=tuple(candidate.tokens),
                top_tokens=_top_tokens(candidate),
                grammar_complete=candidate.grammar_complete,
            )
            for candidate in self._candidates
            if candidate is not winner
        )

    def _winner(self) -> Candidate:
        """The candidate with the highest mean processed logprob; the first of equal ones."""
        return max(self._candidates, key=lambda candidate: candidate.score / len(candidate.tokens))

    def _seed(self, candidate: Candidate) -> int | None:
        return None if candidate.parameters.is_greedy else candidate.parameters.seed

    def _warnings(self) -> tuple[str, ...]:
        grammar = self.plan.grammar
        ignored = (f"`{name}` is ignored" for name in self.plan.request.ignored_parameters)
        return (*ignored, *(grammar.warnings if grammar else ()))

    def _send(self, item: StreamEvent | SamplerError) -> None:
        if self.cancelled:
            return
        try:
            self._sink(item)
        except RuntimeError:  # the event loop that waited has closed
            self.cancelled = True


def _reason(candidate: Candidate) -> FinishReason:
    if candidate.finish_reason is None:
        raise RuntimeError("the candidate is not finished")
    return candidate.finish_reason


def _top_tokens(candidate: Candidate) -> tuple[tuple[Token, ...], ...]:
    asked = candidate.plan.request.parameters.top_n_tokens > 0
    return tuple(candidate.top_tokens) if asked else ()
