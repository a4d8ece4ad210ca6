"""What a model is shown, what it may answer, and what a step costs beside it."""

import gc
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scripted_models import (
    PATIENCE,
    SIZE,
    Watched,
    WithPromptLogits,
    byte_vocabulary,
    hash_model,
    request,
    wire,
)

from sampler import Generator
from sampler.errors import LogitsError, OverloadedError
from sampler.models import NgramModel, ngram
from sampler.models.demo import demo_tokenizer

SETTINGS = {"max_new_tokens": 12, "do_sample": True, "seed": 3, "details": True, "top_n_tokens": 2}
ASKED = request("a prompt", decoder_input_details=True, best_of=2, **SETTINGS)


def read_only(logits):
    logits.flags.writeable = False
    return logits


def every_other_column(logits):
    wide = np.full((len(logits), 2 * SIZE), 50, np.float32)
    wide[:, ::2] = logits
    return wide[:, ::2]


def with_padding(value):
    def pad(logits):
        return np.hstack([logits, np.full((len(logits), 70), value, np.float32)])

    return pad


EQUAL = {
    "float64": lambda logits: logits.astype(np.float64),
    "big-endian": lambda logits: logits.astype(">f4"),
    "column order": np.asfortranarray,
    "every other column": every_other_column,
    "backwards": lambda logits: np.ascontiguousarray(logits[::-1])[::-1],
    "read-only": read_only,
    "lists": lambda logits: logits.tolist(),
    "subclass": lambda logits: logits.view(np.matrix),
    "high padding": with_padding(99.0),
    "infinite padding": with_padding(np.inf),
    "padding that is no number": with_padding(np.nan),
}


def answering(change):
    class Model(WithPromptLogits):
        def __call__(self, batch):
            return change(super().__call__(batch))

        def prompt_logits(self, view):
            return change(super().prompt_logits(view))

    return Model()


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("name", EQUAL)
def test_equal_logits_in_any_array_give_the_same_events(make_generator, name):
    expected = wire(make_generator(hash_model).generate_stream(ASKED))
    generator = make_generator(answering(EQUAL[name]))
    assert wire(generator.generate_stream(ASKED)) == expected


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_narrow_logits_are_converted_exactly(make_generator, name):
    dtype = np.dtype(np.float16)
    if name == "bfloat16":
        dtype = np.dtype(pytest.importorskip("ml_dtypes", reason="bfloat16 is theirs").bfloat16)
    narrow = make_generator(answering(lambda logits: logits.astype(dtype)))
    widened = make_generator(answering(lambda logits: logits.astype(dtype).astype(np.float32)))
    assert wire(narrow.generate_stream(ASKED)) == wire(widened.generate_stream(ASKED))


def test_what_the_model_answers_is_left_as_it_is(make_generator):
    kept = []

    def model(batch):
        logits = hash_model(batch)
        kept.append((logits, logits.copy()))
        return logits

    settings = {**SETTINGS, "watermark": True, "repetition_penalty": 2.0, "logit_bias": {"5": 9.0}}
    make_generator(model).generate(request(min_new_tokens=5, **settings))
    assert len(kept) > 4
    for logits, before in kept:
        assert logits.tobytes() == before.tobytes()


@pytest.mark.parametrize("scored", [False, True])
def test_a_model_is_shown_every_token_once_and_the_whole_context(make_generator, scored):
    model = Watched()
    generator = make_generator(model, max_batch_size=2)
    prompts = ["one", "a longer one", "x"]
    streams = [
        generator.generate_stream(request(p, decoder_input_details=scored, **SETTINGS))
        for p in prompts
    ]
    told = [[event.token.id for event in stream] for stream in streams]
    assert model.shown == model.contexts
    for number, (prompt, ids) in enumerate(zip(prompts, told, strict=True)):
        assert model.contexts[number] == [*prompt.encode(), *ids[:-1]]
    assert sorted(model.released) == [0, 1, 2]


def test_a_view_is_the_same_object_at_each_step_and_its_arrays_stay_as_they_were(make_generator):
    seen = []

    def model(batch):
        seen.append((batch[0], batch[0].token_ids, batch[0].token_ids.tolist()))
        assert batch[0].token_ids.dtype == batch[0].new_token_ids.dtype == np.int64
        assert not batch[0].token_ids.flags.writeable
        assert not batch[0].new_token_ids.flags.writeable
        return hash_model(batch)

    make_generator(model).generate(request(**{**SETTINGS, "max_new_tokens": 100}))
    assert len({id(view) for view, _, _ in seen}) == 1
    for _, then, copied in seen:
        assert then.tolist() == copied


def test_ids_are_never_used_again(make_generator):
    model = Watched()
    generator = make_generator(model, max_batch_size=2)
    for number in range(20):
        generator.generate_stream(request(**SETTINGS)).close()
        generator.generate(request(best_of=1 + number % 3, **SETTINGS))
    assert len(model.released) == len(set(model.released))
    assert sorted(model.released) == sorted(model.shown)


def test_a_model_with_room_for_more_tokens_than_the_vocabulary_is_taken(make_generator):
    class Model(WithPromptLogits):
        vocab_size = SIZE + 70

        def __call__(self, batch):
            return with_padding(99.0)(super().__call__(batch))

    greedy = request("a", max_new_tokens=20, ignore_eos=True, top_n_tokens=3)
    expected = wire(make_generator(hash_model).generate_stream(greedy))
    assert wire(make_generator(Model()).generate_stream(greedy)) == expected


ROW = {
    "greedy": {},
    "sampled": {"temperature": 0.8, "top_k": 40, "top_p": 0.9, "top_n_tokens": 3, "seed": 1},
    "penalized": {"repetition_penalty": 1.2, "frequency_penalty": 0.4, "do_sample": True},
    "stopped": {"stop": ["never to be found"], "logit_bias": {"7": 1.0}, "watermark": True},
    "bounded": {"min_new_tokens": 30},
}
BATCH_SIZE = 4


@pytest.mark.parametrize("name", ROW)
def test_a_step_allocates_nothing_of_the_vocabularys_size(name):
    columns = 1 << 20
    bodies = [request(max_new_tokens=30, **ROW[name])] * BATCH_SIZE
    assert peak_of_a_step(columns, np.float32, bodies) < columns // 2


def test_a_neighbour_whose_prompt_is_scored_token_by_token_costs_no_copy():
    columns = 1 << 20
    scored = request("p" * 40, max_new_tokens=1, decoder_input_details=True)
    bodies = [scored] + [request(max_new_tokens=30)] * (BATCH_SIZE - 1)
    assert peak_of_a_step(columns, np.float32, bodies) < columns // 2


def test_a_conversion_is_all_that_a_step_allocates_for_it():
    columns = 1 << 20
    rows_in_bytes = 4 * columns * BATCH_SIZE
    peak = peak_of_a_step(columns, np.float64, [request(max_new_tokens=30)] * BATCH_SIZE)
    assert rows_in_bytes <= peak < rows_in_bytes + columns // 2


def peak_of_a_step(columns, dtype, bodies):
    """The most bytes that a step of all `bodies` had above what they hold anyway."""
    logits = np.zeros((BATCH_SIZE, columns), dtype)
    logits[:, : SIZE - 2] = np.linspace(0, 5, SIZE - 2)
    peaks, all_asked = [], threading.Event()

    def model(batch):
        assert all_asked.wait(PATIENCE)
        now, peak = tracemalloc.get_traced_memory()
        peaks.append((len(batch), peak - now))
        tracemalloc.reset_peak()
        return logits[: len(batch)]

    with Generator(model, large_vocabulary(columns), max_batch_size=BATCH_SIZE) as generator:
        gc.collect()
        tracemalloc.start()
        try:
            streams = [generator.generate_stream(body) for body in bodies]
            all_asked.set()
            for stream in streams:
                list(stream)
        finally:
            tracemalloc.stop()
    # The peak that a call sees is of the step before it, which had to be a full one.
    full = [rows == BATCH_SIZE for rows, _ in peaks]
    steady = [
        peak
        for (_, peak), now, then in zip(peaks[1:], full[1:], full, strict=False)
        if now and then
    ]
    assert len(steady) > 15
    return max(steady)


def large_vocabulary(size):
    """The vocabulary of the other tests, with more tokens than any of them has."""
    small = byte_vocabulary()
    token_bytes = small._token_bytes + tuple(b"%d" % i for i in range(small.size, size))
    return type(small)(small.tokenizer, small.eos_token_ids, small.special_token_ids, token_bytes)


class FailsFirst:
    """Gives NaN for its first sequence, and says why in its own way."""

    def __init__(self, why):
        self.why = why
        self.failed = None

    def __call__(self, batch):
        self.failed = batch[0].id if self.failed is None else self.failed
        logits = hash_model(batch)
        for row, view in enumerate(batch):
            if view.id == self.failed:
                logits[row] = np.nan
        return logits

    def row_error(self, sequence_id):
        assert sequence_id == self.failed
        if isinstance(self.why, BaseException):
            raise self.why
        return self.why() if self.why else None


@pytest.mark.parametrize(
    ("why", "kind"),
    [(OverloadedError, OverloadedError), (None, LogitsError), (ValueError("no"), LogitsError)],
)
def test_a_model_can_name_the_error_of_a_row_it_failed(make_generator, why, kind):
    generator = make_generator(FailsFirst(why))
    with pytest.raises(kind):
        generator.generate(ASKED)
    assert generator.generate(request("b", **SETTINGS)).generated_text


# --- one model in several generators


class Distinguishing:
    """Notes the ids that it is shown, from any thread."""

    def __init__(self):
        self.ids = []

    def __call__(self, batch):
        self.ids += [view.id for view in batch if len(view.token_ids) == 1]
        return hash_model(batch)


def test_ids_are_never_used_again_by_another_generator(make_generator):
    model = Distinguishing()
    for _ in range(2):
        for _ in range(3):
            make_generator(model).generate(request("a", max_new_tokens=2))
    assert len(set(model.ids)) == len(model.ids) == 6


def asked_of(name):
    """Some requests of one generator, which begin like those of others."""
    return [
        request(
            "My fellow citizens, " + name * number,
            max_new_tokens=15 + number,
            do_sample=True,
            seed=number,
            details=True,
            decoder_input_details=number == 2,
        )
        for number in range(6)
    ]


def events_of(generator, requests):
    """The wire events of requests that are all submitted at once."""
    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(lambda asked: wire(generator.generate_stream(asked)), requests))


@pytest.mark.parametrize("max_known", [ngram._MAX_KNOWN, 2])
def test_generators_with_one_model_give_the_same_events_as_alone(monkeypatch, max_known):
    monkeypatch.setattr(ngram, "_MAX_KNOWN", max_known)
    names = ["one ", "two ", "three "]

    def run(name, model):
        with Generator(model, demo_tokenizer(), max_batch_size=4) as generator:
            return events_of(generator, asked_of(name))

    expected = [run(name, NgramModel.load()) for name in names]
    model = NgramModel.load()
    with ThreadPoolExecutor(len(names)) as pool:
        assert list(pool.map(lambda name: run(name, model), names)) == expected
