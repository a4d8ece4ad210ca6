"""What a generator tells those who watch it: how long its steps and its grammars take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the whole batch.

    Attributes
    ----------
    batch_size : rows that the model was shown, >= 1
    model_seconds : of the model callback
    mask_seconds : of the token bitmasks; 0 when no row had one
    draw_seconds : of penalties, truncation and draw
    """

    batch_size: int
    model_seconds: float
    mask_seconds: float
    draw_seconds: float


@dataclass(frozen=True, slots=True)
class Load:
    """What a generator has to do at a moment.

    Attributes
    ----------
    running : rows that are generated
    waiting : requests in preparation, or without a row
    """

    running: int
    waiting: int


class Observer:
    """Is told what a generator does; every method does nothing here.

    The methods are called by the threads that do the work, several of them at a time, and hold them
    up: they should return at once, and must not raise.
    """

    def stepped(self, step: Step) -> None:
        """The batch has one token more in each row."""

    def grammar_compiled(self, seconds: float) -> None:
        """A request has its grammar, compiled or found in the cache; failures count too."""
