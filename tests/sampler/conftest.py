"""Generators that tests make and never leave behind."""

from collections.abc import Callable, Iterator

import pytest
from scripted_models import Watched, byte_vocabulary, hash_model, scheduler_threads


@pytest.fixture
def make_generator() -> Iterator[Callable]:
    """Makes generators over the byte tokenizer and closes them; their threads must end."""
    from sampler import Generator

    made = []

    def make(model: Callable = hash_model, **options: object) -> Generator:
        generator = Generator(model, byte_vocabulary(), **options)
        made.append((generator, model))
        return generator

    yield make
    for generator, model in made:
        if isinstance(model, Watched):
            model.let_go()
        generator.close()
    made.clear()
    assert not scheduler_threads()
