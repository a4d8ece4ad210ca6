"""A job that ends with one row of logits, as the model gives them to a sequence of tokens."""

import queue
from typing import Any

import numpy as np
import numpy.typing as npt

from sampler.errors import IncompleteGenerationError, SamplerError
from sampler.job import Job

Logits = npt.NDArray[np.float32]


class LogitsJob(Job):
    """The row after the prompt of its plan; one thread waits for it, nothing is drawn.

    It has a place in the queue, then a row, then a place again until it is dropped: whoever works
    on the logits counts as somebody who is served.
    """

    def __init__(self) -> None:
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        super().__init__(self._answers.put, stream=False)

    def cancel(self) -> None:
        """As `Job.cancel`; who waits for the logits gets an error."""
        super().cancel()
        self._answers.put(IncompleteGenerationError())

    def take(self, logits: Logits) -> None:
        """None; hands float32[V] to who waits."""
        self._answers.put(logits)

    def logits(self) -> Logits:
        """float32[V], when it is there.

        Raises
        ------
        SamplerError : the model failed, the request was cancelled or the generator closed
        """
        answer: Logits | SamplerError = self._answers.get()
        if isinstance(answer, SamplerError):
            raise answer
        return answer

    def check_wanted(self) -> None:
        """Raises IncompleteGenerationError when nobody waits any more."""
        if self.cancelled:
            raise IncompleteGenerationError()
