"""The front door: a request in, events out; synchronous, threaded and asyncio callers alike.

What can be said before the first token is said in the caller's own thread: validation, length
checks, grammar compilation. Only a request that is fully prepared reaches the scheduler's thread,
so nothing a request contains can hold up the others' tokens.
"""

import asyncio
import queue
import secrets
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from sampler.async_stream import AsyncEventStream, LoopMailbox
from sampler.candidate import Plan
from sampler.errors import (
    IncompleteGenerationError,
    InvalidParameterError,
    shown,
)
from sampler.event_stream import EventStream, Item
from sampler.events import GenerateResponse, StreamEvent
from sampler.forking import call_in_children
from sampler.grammar import GrammarCompiler
from sampler.grammar.compiler import AnyGrammar
from sampler.job import Job
from sampler.limits import Limits
from sampler.logits_job import LogitsJob
from sampler.model import Model, ModelCaller
from sampler.observing import Load, Observer
from sampler.request import GenerateRequest, validate_request
from sampler.scheduler import Scheduler
from sampler.step_trace import StepTrace, read_question
from sampler.stopping import StopStrings
from sampler.vocabulary import Vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Request = Mapping[str, Any] | GenerateRequest


class Generator:
    """Generates with any model callback; requests of all threads share its batch.

    Parameters
    ----------
    model : see `sampler.model.Model`; called from one thread, never twice at the same time, unless
        other generators have it too
    tokenizer : a `tokenizers.Tokenizer` (byte-level or byte-fallback), or its `Vocabulary`
    max_batch_size : rows that are stepped together, >= 1
    max_waiting : requests that may wait for a row, >= 1; one more is an OverloadedError
    limits : what one request may ask for
    eos_token_ids : what ends a sequence; None takes the well-known names among the special tokens,
        or what the `Vocabulary` says
    unknown_parameters : "refuse" names them in an error, "ignore" names them in the details
    strict_tgi : refuse exactly what TGI refuses, with its texts

    Raises
    ------
    InvalidParameterError : a value outside its range, a tokenizer of another kind
    """

    def __init__(
        self,
        model: Model,
        tokenizer: "Tokenizer | Vocabulary",
        max_batch_size: int = 32,
        max_waiting: int = 128,
        limits: Limits | None = None,
        *,
        eos_token_ids: Iterable[int] | None = None,
        unknown_parameters: Literal["refuse", "ignore"] = "refuse",
        strict_tgi: bool = False,
    ) -> None:
        if not isinstance(max_waiting, int) or max_waiting < 1:
            raise InvalidParameterError(
                f"`max_waiting` must be an integer >= 1. Given: {shown(max_waiting)}"
            )
        if not isinstance(limits, Limits | None):
            raise InvalidParameterError(f"`limits` must be a Limits. Given: {shown(limits)}")
        if unknown_parameters not in ("refuse", "ignore"):
            raise InvalidParameterError(
                f"`unknown_parameters` must be 'refuse' or 'ignore'. Given: {unknown_parameters!r}"
            )
        self.vocabulary = _vocabulary(tokenizer, eos_token_ids)
        self.limits = limits or Limits()
        self.max_batch_size = max_batch_size
        self.max_waiting = max_waiting
        self._unknown_parameters = unknown_parameters
        self._strict_tgi = strict_tgi
        self._grammars = GrammarCompiler(self.vocabulary, limits=self.limits)
        caller = ModelCaller(model, self.vocabulary.size)
        self._scheduler = Scheduler(caller, self.vocabulary, max_batch_size, max_waiting)
        self._places = max_batch_size + max_waiting
        self._mailboxes: weakref.WeakValueDictionary[asyncio.AbstractEventLoop, LoopMailbox] = (
            weakref.WeakValueDictionary()
        )
        self._prepare_to_serve()
        call_in_children(self._begin_anew)

    def _prepare_to_serve(self) -> None:
        # Not asyncio's own threads: they are few, and slow grammars would keep everybody from them.
        # Two for each place, since a cancelled request may have begun the compile that another one
        # waits for, and one that is always free to refuse a request.
        self._preparers = ThreadPoolExecutor(2 * self._places + 1, "sampler-prepare")
        # also runs at interpreter exit; it does not hold the generator, so a forgotten one ends
        self._tracing = threading.Lock()  # one at a time: it takes a dozen vocabularies of memory
        self._finalizer = weakref.finalize(
            self, _close, self._scheduler, self._preparers, self._grammars
        )

    def _begin_anew(self) -> None:
        """With threads of its own, in a forked process."""
        if self._finalizer.detach() is not None:  # else it is closed
            self._prepare_to_serve()

    def generate_stream(self, request: Request) -> EventStream:
        """The events of `request`, as its tokens are generated.

        Parameters
        ----------
        request : the wire form (``{"inputs": ..., "parameters": {...}}``) or a `GenerateRequest`

        Raises
        ------
        InvalidParameterError : everything that is wrong with the request, at once
        GrammarError : a grammar that is not valid, not supported or too large
        OverloadedError : the waiting queue is full
        SamplerError : from the iterator: generation failed, or the generator was closed
        """
        items: queue.SimpleQueue[Item] = queue.SimpleQueue()
        job = Job(items.put, stream=True)
        self._submit(job, request)
        return EventStream(self, job, items)

    def generate(self, request: Request) -> GenerateResponse:
        """The whole answer to `request`; parameters and errors as for `generate_stream`."""
        items: queue.SimpleQueue[Item] = queue.SimpleQueue()
        job = Job(items.put, stream=False)
        self._submit(job, request)
        with EventStream(self, job, items) as events:
            for _ in events:
                pass
        return job.response()

    async def agenerate_stream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        """The asyncio twin of `generate_stream`; errors come with the first event."""
        with self.open_stream(request) as events:
            async for event in events:
                yield event

    async def agenerate(self, request: Request) -> GenerateResponse:
        """The asyncio twin of `generate`."""
        with self.open_stream(request, stream=False) as events:
            async for _ in events:
                pass
            return events.response()

    def open_stream(
        self, request: Request, *, stream: bool = True, max_buffered_events: int | None = None
    ) -> AsyncEventStream:
        """The events of `request` for the running event loop, in preparation; to be closed.

        Parameters
        ----------
        request : as for `generate_stream`
        stream : whether each event is wanted; if not, only the last one comes
        max_buffered_events : while so many events wait for their reader, the row is held up, >= 1;
            None for no bound

        Raises
        ------
        OverloadedError : the waiting queue is full
        IncompleteGenerationError : the generator is closed
        """
        loop = asyncio.get_running_loop()
        mailbox = self._mailboxes.setdefault(loop, LoopMailbox(loop))
        events = AsyncEventStream(self._scheduler, mailbox, stream, max_buffered_events)
        self._scheduler.reserve(events.job)
        with suppress(RuntimeError):  # what a pool that is shut down raises
            events.begin(
                loop.run_in_executor(self._preparers, self._submit_reserved, events.job, request)
            )
            return events
        self._scheduler.drop(events.job)
        raise IncompleteGenerationError("the generator is closed")

    def trace(self, request: Mapping[str, Any]) -> StepTrace:
        """What each processor makes of the next token; nothing is drawn.

        Parameters
        ----------
        request : the wire form, ``{"inputs": ..., "parameters": {...}, "tokens": [ids generated so
            far], "top_n": ids that each stage lists, "alternatives": [ids to tell of besides]}``;
            all but the first may be absent

        Raises
        ------
        InvalidParameterError, GrammarError, OverloadedError : as for `generate_stream`
        SamplerError : the model failed, nothing can be drawn, or the generator was closed
        """
        job = LogitsJob()
        self._scheduler.reserve(job)
        return self._trace_reserved(job, request)

    async def atrace(self, request: Mapping[str, Any]) -> StepTrace:
        """The asyncio twin of `trace`; to cancel it frees its row before the next step."""
        job = LogitsJob()
        self._scheduler.reserve(job)
        try:
            run = asyncio.get_running_loop().run_in_executor
            traced = run(self._preparers, self._trace_reserved, job, request)
        except RuntimeError:  # what a pool that is shut down raises
            self._scheduler.drop(job)
            raise IncompleteGenerationError("the generator is closed") from None
        try:
            return await traced
        finally:
            self._scheduler.drop(job)

    @property
    def load(self) -> Load:
        """How much there is to do at the moment."""
        return self._scheduler.load()

    @property
    def full(self) -> bool:
        """Whether a request that comes now is refused."""
        return self._scheduler.full

    @property
    def closed(self) -> bool:
        """Whether it was closed, and takes no requests."""
        return not self._finalizer.alive

    def observe(self, observer: Observer) -> None:
        """None; tells `observer` of each step and each grammar from now on."""
        self._scheduler.observers += (observer,)

    def close(self) -> None:
        """Ends what is unfinished with IncompleteGenerationError and joins the worker thread."""
        self._finalizer.detach()
        _close(self._scheduler, self._preparers, self._grammars)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _submit(self, job: Job, request: Request) -> None:
        self._scheduler.reserve(job)
        self._submit_reserved(job, request)

    def _submit_reserved(self, job: Job, request: Request) -> None:
        try:
            job.prepare(self._plan(job, request))
            self._scheduler.submit(job)
        except BaseException:
            self._scheduler.drop(job)
            raise

    def _trace_reserved(self, job: LogitsJob, request: Mapping[str, Any]) -> StepTrace:
        try:
            question = read_question(
                request, self.limits, self.vocabulary.size, partial(self._plan, job)
            )
            job.prepare(question.row)
            self._scheduler.submit(job)
            logits = job.logits()
            with self._tracing:
                job.check_wanted()  # those that have left since would keep the others waiting
                return question.answer(logits)
        finally:
            self._scheduler.drop(job)

    def _plan(self, job: Job, request: Request) -> Plan:
        encode = lru_cache(maxsize=1)(self.vocabulary.encode)  # validation counts, then we need it
        valid = validate_request(
            request,
            limits=self.limits,
            stream=job.stream,
            count_tokens=lambda text: len(encode(text)),
            vocab_size=self.vocabulary.size,
            strict_tgi=self._strict_tgi,
            unknown_parameters=self._unknown_parameters,
        )
        limit = self.limits.max_input_tokens if valid.truncate is None else valid.truncate
        prompt = tuple(encode(valid.inputs)[-limit:])
        if not prompt:
            raise InvalidParameterError("`inputs` must have at least one token. Given: none")
        seed = valid.parameters.seed
        return Plan(
            request=valid,
            vocabulary=self.vocabulary,
            prompt_token_ids=prompt,
            max_new_tokens=valid.stopping.max_new_tokens
            or self.limits.max_total_tokens - len(prompt),
            seed=secrets.randbits(64) if seed is None else seed,
            stop=StopStrings(valid.stopping.stop),
            grammar=self._grammar(job, valid.grammar) if valid.grammar else None,
        )

    def _grammar(self, job: Job, specification: Mapping[str, Any]) -> AnyGrammar:
        begun = time.perf_counter()
        try:
            return self._grammars.compile(specification, lambda: job.cancelled)
        finally:
            for observer in self._scheduler.observers:
                observer.grammar_compiled(time.perf_counter() - begun)


def _close(scheduler: Scheduler, preparers: ThreadPoolExecutor, grammars: GrammarCompiler) -> None:
    """None; what is in preparation finds the doors closed."""
    scheduler.close()
    preparers.shutdown(wait=False)
    grammars.close()


def _vocabulary(
    tokenizer: "Tokenizer | Vocabulary", eos_token_ids: Iterable[int] | None
) -> Vocabulary:
    if not isinstance(tokenizer, Vocabulary):
        return Vocabulary.from_tokenizer(tokenizer, eos_token_ids)
    if eos_token_ids is not None:
        raise InvalidParameterError(
            "`eos_token_ids` must be None beside a Vocabulary, which has its own. "
            f"Given: {shown(eos_token_ids)}"
        )
    return tokenizer


def default_generator(**options: Any) -> Generator:
    """A generator over the embedded demo model, ready right after installation.

    Parameters
    ----------
    options : keyword arguments of `Generator`

    The model is a small n-gram demo that shows the engine at work; what it writes means little.
    """
    from sampler.models.demo import demo_tokenizer
    from sampler.models.ngram import NgramModel

    return Generator(NgramModel.load(), demo_tokenizer(), **options)
