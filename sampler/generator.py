"""The front door: a request in, events out; synchronous, threaded and asyncio callers alike.

What can be said before the first token is said in the caller's own thread: validation, length
checks, grammar compilation. Only a request that is fully prepared reaches the scheduler's thread,
so nothing a request contains can hold up the others' tokens.
"""

import asyncio
import os
import queue
import secrets
import weakref
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from sampler.candidate import Plan
from sampler.errors import (
    IncompleteGenerationError,
    IncompleteStreamError,
    InvalidParameterError,
    SamplerError,
    shown,
)
from sampler.events import GenerateResponse, StreamEvent
from sampler.forking import call_in_children
from sampler.grammar import GrammarCompiler
from sampler.job import Job
from sampler.limits import Limits
from sampler.model import Model, ModelCaller
from sampler.request import GenerateRequest, validate_request
from sampler.scheduler import Scheduler
from sampler.stopping import StopStrings
from sampler.vocabulary import Vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Request = Mapping[str, Any] | GenerateRequest
Item = StreamEvent | SamplerError | None  # what a stream is fed with; None wakes its readers


class EventStream(Iterator[StreamEvent]):
    """The events of one request, one for each token; the last one has `generated_text`.

    Closing it, or letting go of it, ends the request and frees its row before the next step. Any
    thread may close it, and a thread that waits for an event then sees the end of the events.
    """

    def __init__(self, generator: "Generator", job: Job, items: "queue.SimpleQueue[Item]") -> None:
        self._generator = generator  # must not end before its streams do
        self._job = job
        self._items = items
        self._ended = False
        self._owner = os.getpid()

    def __next__(self) -> StreamEvent:
        if os.getpid() != self._owner:  # a forked process has no thread that generates
            raise IncompleteStreamError("the stream belongs to another process")
        if self._ended:
            raise StopIteration
        item = self._items.get()
        if isinstance(item, StreamEvent) and item.generated_text is None:
            return item
        self._end()
        if isinstance(item, StreamEvent):
            return item
        if item is None:
            raise StopIteration
        try:
            raise item
        finally:
            del item  # the error knows this frame: together they would stay until collected

    def close(self) -> None:
        """Ends the request; further events are not waited for."""
        self._job.cancel()
        self._end()

    def _end(self) -> None:
        self._ended = True
        self._items.put(None)  # for another thread that waits; it passes this on to the next one

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self._job.cancel()


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
        self._unknown_parameters = unknown_parameters
        self._strict_tgi = strict_tgi
        self._grammars = GrammarCompiler(self.vocabulary, limits=self.limits)
        caller = ModelCaller(model, self.vocabulary.size)
        self._scheduler = Scheduler(caller, self.vocabulary, max_batch_size, max_waiting)
        self._places = max_batch_size + max_waiting
        self._prepare_to_serve()
        call_in_children(self._begin_anew)

    def _prepare_to_serve(self) -> None:
        # Not asyncio's own threads: they are few, and slow grammars would keep everybody from them.
        # Two for each place, since a cancelled request may have begun the compile that another one
        # waits for, and one that is always free to refuse a request.
        self._preparers = ThreadPoolExecutor(2 * self._places + 1, "sampler-prepare")
        # also runs at interpreter exit; it does not hold the generator, so a forgotten one ends
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
        items: asyncio.Queue[StreamEvent | SamplerError] = asyncio.Queue()
        # a suspended inner generator is closed only when the event loop finds the time
        job = self._async_job(items, stream=True)
        async with aclosing(self._events(job, items, request)) as events:
            async for event in events:
                yield event

    async def agenerate(self, request: Request) -> GenerateResponse:
        """The asyncio twin of `generate`."""
        items: asyncio.Queue[StreamEvent | SamplerError] = asyncio.Queue()
        job = self._async_job(items, stream=False)
        async for _ in self._events(job, items, request):
            pass
        return job.response()

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

    @staticmethod
    def _async_job(items: "asyncio.Queue[StreamEvent | SamplerError]", stream: bool) -> Job:
        loop = asyncio.get_running_loop()

        def put(item: StreamEvent | SamplerError) -> None:
            loop.call_soon_threadsafe(items.put_nowait, item)

        return Job(put, stream)

    async def _events(
        self,
        job: Job,
        items: "asyncio.Queue[StreamEvent | SamplerError]",
        request: Request,
    ) -> AsyncGenerator[StreamEvent, None]:
        try:
            await self._submit_aside(job, request)
            while True:
                item = await items.get()
                if isinstance(item, SamplerError):
                    raise item
                yield item
                if item.generated_text is not None:
                    return
        finally:
            # also when the awaiting task was cancelled while the request was prepared
            self._scheduler.drop(job)

    def _submit_aside(self, job: Job, request: Request) -> "asyncio.Future[None]":
        with suppress(RuntimeError):  # what a pool that is shut down raises
            loop = asyncio.get_running_loop()
            return loop.run_in_executor(self._preparers, self._submit, job, request)
        raise IncompleteGenerationError("the generator is closed")

    def _submit(self, job: Job, request: Request) -> None:
        self._scheduler.reserve(job)
        try:
            job.prepare(self._plan(job, request))
            self._scheduler.submit(job)
        except BaseException:
            self._scheduler.drop(job)
            raise

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
            grammar=self._grammars.compile(valid.grammar, lambda: job.cancelled)
            if valid.grammar
            else None,
        )


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
