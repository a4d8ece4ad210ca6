"""Several candidates of one request: each as if alone, the most probable one wins."""

import numpy as np
import pytest
from scripted_models import END, SIZE, Watched, hash_model, request, wire

from sampler import default_generator

SETTINGS = {"max_new_tokens": 7, "do_sample": True, "seed": 11, "details": True}


def candidates(answer):
    """Winner and losers of a wire answer, the winner first, in one form."""
    details = dict(answer["details"])
    losers = details.pop("best_of_sequences")
    return [{"generated_text": answer["generated_text"], **details}, *losers]


@pytest.mark.parametrize("best_of", [2, 5, 16])
@pytest.mark.parametrize("max_batch_size", [1, 3, 32])
def test_the_answer_is_the_same_at_any_batch_size_and_on_a_stream(
    make_generator, best_of, max_batch_size
):
    asked = request(best_of=best_of, top_n_tokens=1, **SETTINGS)
    generator = make_generator(hash_model, max_batch_size=max_batch_size)
    answer = generator.generate(asked).to_dict()
    assert answer == make_generator(hash_model).generate(asked).to_dict()
    events = wire(generator.generate_stream(asked))
    assert [event["index"] for event in events] == list(range(1, len(events) + 1))
    assert [event["token"] for event in events] == answer["details"]["tokens"]
    assert [event["top_tokens"] for event in events] == answer["details"]["top_tokens"]
    assert all(event["details"] is event["generated_text"] is None for event in events[:-1])
    assert events[-1]["generated_text"] == answer["generated_text"]
    details = events[-1]["details"]
    assert details["best_of_sequences"] == answer["details"]["best_of_sequences"]
    assert len(details["best_of_sequences"]) == best_of - 1
    assert details["seed"] == answer["details"]["seed"]


@pytest.mark.parametrize("logprobs", ["processed", "raw"])
def test_the_seed_of_each_candidate_replays_it_alone(make_generator, logprobs):
    generator = make_generator(hash_model)
    settings = {**SETTINGS, "temperature": 0.8, "logprobs": logprobs, "top_n_tokens": 2}
    answer = generator.generate(request(best_of=6, **settings)).to_dict()
    found = candidates(answer)
    assert len({candidate["seed"] for candidate in found}) == 6
    assert 11 in {candidate["seed"] for candidate in found}
    for candidate in found:
        alone = generator.generate(request(**{**settings, "seed": candidate["seed"]})).to_dict()
        (replayed,) = candidates(
            {**alone, "details": {**alone["details"], "best_of_sequences": []}}
        )
        assert replayed == candidate


@pytest.mark.parametrize("logprobs", ["processed", "raw"])
def test_the_highest_mean_processed_logprob_wins(make_generator, logprobs):
    generator = make_generator(hash_model)
    for seed in range(5):
        settings = {**SETTINGS, "temperature": 2.0, "seed": seed}
        answer = generator.generate(request(best_of=8, logprobs=logprobs, **settings)).to_dict()
        means = []
        for candidate in candidates(answer):
            replay = request(**{**settings, "seed": candidate["seed"]})
            tokens = generator.generate(replay).to_dict()["details"]["tokens"]
            assert [t["id"] for t in tokens] == [t["id"] for t in candidate["tokens"]]
            means.append(np.mean([token["logprob"] for token in tokens]))
        assert means[0] == max(means)


def test_the_mean_is_over_all_tokens_so_that_length_does_not_matter(make_generator):
    def model(batch):
        """Ends at once with a likely token, or writes three that are even more likely."""
        logits = np.full((len(batch), SIZE), -np.inf, np.float32)
        for row, view in enumerate(batch):
            length = len(view.token_ids)
            if length == 1:
                logits[row, [ord("a"), END]] = 0.0
            elif length < 9:
                logits[row, ord("a")] = 0.0
            else:
                logits[row, END] = 0.0
        return logits

    settings = {**SETTINGS, "max_new_tokens": 20, "best_of": 8}
    answer = make_generator(model).generate(request("p", **settings)).to_dict()
    lengths = [candidate["generated_tokens"] for candidate in candidates(answer)]
    assert set(lengths) == {1, 9}
    assert lengths[0] == 9


def test_the_first_of_equal_candidates_wins(make_generator):
    settings = {**SETTINGS, "top_k": 1, "best_of": 4}
    answer = make_generator(hash_model).generate(request(**settings)).to_dict()
    found = candidates(answer)
    assert [candidate["tokens"] for candidate in found] == 4 * [found[0]["tokens"]]
    assert found[0]["seed"] == 11


def test_a_drawn_seed_of_candidates_replays_them_all(make_generator):
    generator = make_generator(hash_model)
    settings = {**SETTINGS, "seed": None, "best_of": 3, "top_k": 1}
    first = generator.generate(request(**settings)).to_dict()
    again = generator.generate(request(**{**settings, "seed": first["details"]["seed"]})).to_dict()
    assert again == first


def test_candidates_end_each_for_itself(make_generator):
    answer = make_generator(hash_model).generate(
        request(best_of=16, stop=["e", "t", "a"], **{**SETTINGS, "max_new_tokens": 60})
    )
    found = candidates(answer.to_dict())
    assert len({candidate["generated_tokens"] for candidate in found}) > 3
    for candidate in found:
        assert candidate["generated_tokens"] == len(candidate["tokens"])
        stopped = candidate["finish_reason"] == "stop_sequence"
        assert stopped == candidate["generated_text"].endswith(("e", "t", "a"))


def test_the_whole_prompt_stands_in_front_of_each_candidate(make_generator):
    answer = make_generator(hash_model).generate(
        request("a prompt", best_of=3, truncate=2, return_full_text=True, **SETTINGS)
    )
    for candidate in candidates(answer.to_dict()):
        assert candidate["generated_text"].startswith("a prompt")


def test_candidates_are_sequences_of_their_own_and_each_is_released(make_generator):
    model = Watched()
    make_generator(model, max_batch_size=2).generate(request(best_of=5, **SETTINGS))
    assert sorted(model.released) == [0, 1, 2, 3, 4]
    assert all(len(call) <= 2 for call in model.calls)


def test_candidates_of_the_embedded_model_replay(make_generator):
    settings = {**SETTINGS, "temperature": 0.9, "top_p": 0.95, "max_new_tokens": 20}
    with default_generator(max_batch_size=2) as generator:
        answer = generator.generate(request("My fellow", best_of=4, **settings)).to_dict()
        for candidate in candidates(answer):
            replay = {**settings, "seed": candidate["seed"]}
            alone = generator.generate(request("My fellow", **replay)).to_dict()
            assert alone["details"]["tokens"] == candidate["tokens"]
            assert alone["generated_text"] == candidate["generated_text"]
