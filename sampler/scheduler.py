"""Continuous batching: one thread that gives rows to requests and steps them together.

    repeat: drop what was cancelled, give free rows to waiting candidates, step all rows once

Requests join and leave between steps only. The thread starts with the first request and is joined
by `close`. Rows are given out in turn, one candidate of each waiting request at a time, so a
request with many candidates cannot keep the others waiting. A row whose reader is behind is left
out of the steps until the reader has caught up; it keeps its place.
"""

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from sampler import grammar
from sampler.batch_sampler import BatchSampler, SampledTokens
from sampler.candidate import Candidate, Draw
from sampler.errors import (
    IncompleteGenerationError,
    ModelCallbackError,
    OverloadedError,
    SamplerError,
)
from sampler.events import PrefillToken
from sampler.forking import call_in_children
from sampler.job import Job
from sampler.logits_job import LogitsJob
from sampler.model import ModelCaller
from sampler.observing import Load, Observer, Step
from sampler.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

_sequence_ids = itertools.count()  # of all schedulers, since several may run one model
_LOOK_SECONDS = 0.05  # between two looks for cancelled requests when no row can go on


def _raise(error: Exception) -> NoReturn:
    raise error


class _Live:
    """A candidate that has a row."""

    __slots__ = ("candidate", "handle", "job", "wants_logits")

    def __init__(self, job: Job, candidate: Candidate, handle: int) -> None:
        self.job = job
        self.candidate = candidate
        self.handle = handle
        self.wants_logits = isinstance(job, LogitsJob)

    @property
    def is_drawn(self) -> bool:
        """Whether a token is drawn: not of a prompt that is fed, or where logits are wanted."""
        return not (self.candidate.context.hidden or self.wants_logits)

    @property
    def is_held(self) -> bool:
        """Whether nothing can be done for it until its reader takes events."""
        return not self.job.cancelled and self.job.is_full()


class Scheduler:
    """Steps the candidates of all requests; see the module.

    Parameters
    ----------
    model : the model behind its checks
    vocabulary : of its tokenizer
    max_batch_size : rows stepped together
    max_waiting : requests that may wait when all rows are taken
    """

    def __init__(
        self, model: ModelCaller, vocabulary: Vocabulary, max_batch_size: int, max_waiting: int
    ) -> None:
        self._model = model
        self._vocabulary = vocabulary
        self._max_batch_size = max_batch_size
        self._max_waiting = max_waiting
        self._closed = False
        self.observers: tuple[Observer, ...] = ()
        self._begin_anew()
        call_in_children(self._begin_anew)

    def _begin_anew(self) -> None:
        """Without any request: at first, and in a forked process, where nobody waits for one."""
        self._sampler = BatchSampler(self._vocabulary.size, self._max_batch_size)
        self._bitmask = grammar.allocate_token_bitmask(self._max_batch_size, self._vocabulary.size)
        self._live: list[_Live] = []
        # what other threads touch, under the condition
        self._condition = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._reserved: set[Job] = set()  # in preparation, or without a row yet
        self._thread: threading.Thread | None = None

    def reserve(self, job: Job) -> None:
        """Takes a place in the queue for `job`, until it has a row or is dropped.

        Raises OverloadedError when none is free, IncompleteGenerationError after `close`.
        """
        with self._condition:
            self._check_open()
            if self.full:
                raise OverloadedError
            self._reserved.add(job)

    @property
    def full(self) -> bool:
        """Whether there is no place in the queue."""
        with self._condition:
            free_rows = self._max_batch_size - len(self._live)
            return len(self._reserved) - free_rows >= self._max_waiting

    def drop(self, job: Job) -> None:
        """Cancels `job` and gives its place back; its rows are freed before the next step."""
        job.cancel()
        with self._condition:
            self._reserved.discard(job)
            if job in self._waiting:
                self._waiting.remove(job)

    def submit(self, job: Job) -> None:
        """Queues a prepared job that has a place."""
        with self._condition:
            self._check_open()
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name="sampler-scheduler", daemon=True)
                thread.start()  # may fail, and then the next request tries again
                self._thread = thread
            self._waiting.append(job)
            self._condition.notify()

    def wake(self) -> None:
        """Looks again at the rows that were held up by their readers."""
        with self._condition:
            self._condition.notify()

    def load(self) -> Load:
        """How many rows are running, and how many requests wait for one."""
        with self._condition:
            return Load(running=len(self._live), waiting=len(self._reserved))

    def close(self) -> None:
        """Ends every unfinished request with IncompleteGenerationError and joins the thread."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _check_open(self) -> None:
        if self._closed:
            raise IncompleteGenerationError("the generator is closed")

    def _run(self) -> None:
        while self._wait_for_work():
            try:
                self._drop_cancelled()
                self._admit()
                self._step()
            except BaseException as error:  # a fault must not leave callers waiting for ever
                logger.exception("the scheduler failed")
                self._end_all(SamplerError(f"internal error: {error!r}"))
        self._end_all(IncompleteGenerationError())

    def _wait_for_work(self) -> bool:
        with self._condition:
            while not (self._closed or self._has_work()):
                self._condition.wait(_LOOK_SECONDS if self._live else None)
            return not self._closed

    def _has_work(self) -> bool:
        return (
            any(not live.is_held for live in self._live)
            or (bool(self._waiting) and len(self._live) < self._max_batch_size)
            or any(job.cancelled for job in self._waiting)
        )

    def _drop_cancelled(self) -> None:
        for live in [live for live in self._live if live.job.cancelled]:
            self._retire(live)
        with self._condition:
            for _ in range(len(self._waiting)):  # each is looked at once: it may be cancelled now
                job = self._waiting.popleft()
                if job.cancelled:
                    self._reserved.discard(job)
                else:
                    self._waiting.append(job)

    def _end_all(self, error: SamplerError) -> None:
        with self._condition:
            jobs = {*self._waiting, *(live.job for live in self._live)}
        self._fail_all(jobs, error)
        self._drop_cancelled()

    def _admit(self) -> None:
        while len(self._live) < self._max_batch_size and (job := self._next_job()) is not None:
            self._guarded(job, partial(self._start, job))
            with self._condition:
                self._reserved.discard(job)  # if it failed before it had a row
                if job.has_more and not job.cancelled:
                    self._waiting.append(job)

    def _next_job(self) -> Job | None:
        """The first in the queue that is still wanted."""
        with self._condition:
            while self._waiting:
                job = self._waiting.popleft()
                if not job.cancelled:
                    return job
                self._reserved.discard(job)
        return None

    def _start(self, job: Job) -> None:
        """Gives the next candidate of `job` a row."""
        wants_prefill = job.plan.request.decoder_input_details and not job.started
        feed = wants_prefill and not self._model.scores_prompts
        candidate = job.next_candidate(next(_sequence_ids), feed)
        handle = self._sampler.add(candidate.parameters, candidate.plan.prompt_token_ids)
        with self._condition:  # the row takes the place of the place: each counts once
            self._live.append(_Live(job, candidate, handle))
            self._reserved.discard(job)
        if wants_prefill:
            first, *rest = job.plan.prompt_token_ids
            self._add_prefill(job, first, None)
            if not feed:
                logits = self._model.prompt_logits(candidate.context.view)
                self._score(job, logits[: len(rest)], rest)

    def _score(self, job: Job, logits: npt.NDArray[np.float32], token_ids: list[int]) -> None:
        """Adds prompt tokens to the prefill: `token_ids[i]` by what `logits[i]` says of it."""
        for token_id, logprob in zip(
            token_ids, self._sampler.score(logits, token_ids), strict=True
        ):
            self._add_prefill(job, token_id, float(logprob))

    def _add_prefill(self, job: Job, token_id: int, logprob: float | None) -> None:
        text = self._vocabulary.token_text(token_id)
        job.prefill.append(PrefillToken(id=token_id, text=text, logprob=logprob))

    def _step(self) -> None:
        """One model call; each row has one token more, drawn or of a prompt, or its logits."""
        wanted = [live for live in self._live if not (live.job.cancelled or live.is_held)]
        if not wanted:
            return
        drawing = [live for live in wanted if live.is_drawn]
        others = [live for live in wanted if not live.is_drawn]
        shown = drawing + others  # so that the rows to draw from are one block, not copied
        begun = time.perf_counter()
        try:
            logits = self._model.logits([live.candidate.context.view for live in shown])
        except ModelCallbackError as error:
            self._fail_all({live.job for live in shown}, error)
            return
        model_seconds = time.perf_counter() - begun
        for live in shown:
            live.candidate.context.mark_shown()
        for row, live in enumerate(others, start=len(drawing)):
            use = self._give if live.wants_logits else self._feed
            self._guarded(live.job, partial(use, live, logits[row : row + 1]))
        mask_seconds, draw_seconds = 0.0, 0.0
        if drawing:
            mask_seconds, draw_seconds = self._draw(logits[: len(drawing)], drawing)
        for observer in self.observers:
            observer.stepped(Step(len(shown), model_seconds, mask_seconds, draw_seconds))

    def _feed(self, live: _Live, logits: npt.NDArray[np.float32]) -> None:
        """Shows the model one token more of a prompt, and scores it."""
        self._score(live.job, logits, [live.candidate.context.feed()])

    def _give(self, live: _Live, logits: npt.NDArray[np.float32]) -> None:
        """Hands its logits to a job that wants them, which keeps a place until it is dropped."""
        if not isinstance(job := live.job, LogitsJob):
            raise TypeError("the job wants tokens")
        if (error := self._model.row_error(live.candidate.context.view.id)) is not None:
            raise error
        self._retire(live)
        with self._condition:
            if not job.cancelled:
                self._reserved.add(job)
        job.take(logits[0, : self._vocabulary.size].copy())

    def _draw(self, logits: npt.NDArray[np.float32], drawing: list[_Live]) -> tuple[float, float]:
        """The seconds of masks and draw; draws a token for each of `drawing`, rows of `logits`."""
        begun = time.perf_counter()
        bitmask = None
        if any(live.candidate.restricted for live in drawing):
            bitmask = self._bitmask[: len(drawing)]
            bitmask[:] = -1
            self._restrict(bitmask, drawing)
        masked = time.perf_counter()
        sampled = self._sampler.sample(logits, bitmask, rows=[live.handle for live in drawing])
        drawn = time.perf_counter()
        for row, live in enumerate(drawing):
            if not live.job.cancelled:
                self._guarded(live.job, partial(self._take, live, sampled, row))
        return masked - begun if bitmask is not None else 0.0, drawn - masked

    def _restrict(self, bitmask: npt.NDArray[np.int32], drawing: list[_Live]) -> None:
        """None; forbids in each row what its grammar and `min_new_tokens` do not allow."""
        matchers = [live.candidate.matcher for live in drawing]
        if any(matchers):
            for row, error in grammar.fill_bitmasks(matchers, bitmask).items():
                self._guarded(drawing[row].job, partial(_raise, error))
        for live, words in zip(drawing, bitmask, strict=True):
            live.candidate.forbid_early_end(words)

    def _take(self, live: _Live, sampled: SampledTokens, row: int) -> None:
        if row in sampled.errors:
            raise self._model.row_error(live.candidate.context.view.id) or sampled.errors[row]
        live.candidate.take(
            Draw(
                token_id=int(sampled.token_ids[row]),
                logprob=sampled.logprobs[row],
                processed_logprob=float(sampled.processed_logprobs[row]),
                top_token_ids=sampled.top_token_ids[row],
                top_logprobs=sampled.top_logprobs[row],
            )
        )
        if live.candidate.finish_reason is not None:
            self._retire(live)
        live.job.advanced(live.candidate)

    def _retire(self, live: _Live) -> None:
        self._live.remove(live)
        self._sampler.remove(live.handle)
        self._model.release(live.candidate.context.view.id)
        del live.candidate.context.view  # it knows the context: they would stay until collected

    @staticmethod
    def _fail_all(jobs: Iterable[Job], error: SamplerError) -> None:
        """Ends each job with an error of its own, since each will be raised in its own thread."""
        for job in jobs:
            own = type(error)(str(error))
            own.__cause__ = error.__cause__
            job.fail(own)

    @staticmethod
    def _guarded(job: Job, action: Callable[[], None]) -> None:
        """Runs `action`; whatever it raises ends `job` and no other."""
        try:
            action()
        except SamplerError as error:
            job.fail(error)
        except BaseException as error:  # native libraries panic with a class of their own
            logger.exception("a request failed")
            job.fail(SamplerError(f"internal error: {error!r}"))
