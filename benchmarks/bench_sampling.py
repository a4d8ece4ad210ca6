"""What one token costs, as multiples of np.max over the same row.

Run as ``python benchmarks/bench_sampling.py``. Each round times every contender once on the same
rows, so that whatever else the machine does hits all alike; process time, minimum and median over
the rounds. np.max is the yardstick because it is near the time that memory needs to deliver the
row. The last line is one JSON document.
"""

import json
import statistics
import time

import numpy as np

from sampler import BatchSampler, SamplingParameters, Watermark, warmup

ROUNDS = 15
VOCAB_SIZES = (32_000, 128_256)
CHAINS = {
    "greedy": {},
    "temperature": {"temperature": 0.8},
    "top_k + top_p": {"temperature": 0.8, "top_k": 50, "top_p": 0.95},
    "top_p": {"top_p": 0.9},
    "typical_p": {"typical_p": 0.95},
    "min_p": {"min_p": 0.05},
    "all": {
        "watermark": Watermark(),
        "repetition_penalty": 1.2,
        "temperature": 0.8,
        "top_k": 50,
        "top_p": 0.95,
        "typical_p": 0.95,
    },
}


def rows_of(shape, vocab_size, generator):
    """Logits with a realistic head ("peaked", the best token near p = 0.7), or N(0, 1)."""
    logits = generator.normal(size=(1, vocab_size)).astype(np.float32)
    if shape == "peaked":
        head = generator.choice(vocab_size, 200, replace=False)
        logits[0, head] += np.linspace(14.0, 6.0, 200, dtype=np.float32)
    return logits


def numpy_sort(logits, parameters, generator):
    """The textbook way: sort the row, soften it, cut it, draw."""
    row = logits[0] / np.float32(parameters.get("temperature", 1.0))
    order = np.argsort(-row, kind="stable")
    if parameters.get("top_k"):
        order = order[: parameters["top_k"]]
    weights = np.exp(row[order] - row[order[0]])
    weights /= weights.sum()
    if "top_p" in parameters:
        before = np.cumsum(weights) - weights
        order, weights = order[before < parameters["top_p"]], weights[before < parameters["top_p"]]
    return order[np.searchsorted(np.cumsum(weights), generator.random() * weights.sum())]


def microseconds(call):
    start = time.process_time_ns()
    call()
    return (time.process_time_ns() - start) / 1000


def measure(chain, shape, vocab_size):
    """Microseconds per row of each contender: {name: (minimum, median)}."""
    generator = np.random.default_rng(0)
    logits = rows_of(shape, vocab_size, generator)
    sampler = BatchSampler(vocab_size, 1)
    sampler.add(SamplingParameters(**CHAINS[chain], seed=1), range(512))
    contenders = {"np.max": lambda: logits.max(axis=1), "sampler": lambda: sampler.sample(logits)}
    if chain in ("temperature", "top_k + top_p", "top_p"):
        contenders["NumPy sort"] = lambda: numpy_sort(logits, CHAINS[chain], generator)
    times = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, call in contenders.items():
            times[name].append(microseconds(call))
    return {name: (min(taken), statistics.median(taken)) for name, taken in times.items()}


def main():
    warmup()
    results = []
    print(f"{'chain':<16}{'row':<8}{'V':>8}  {'contender':<12}", end="")
    print(f"{'min us':>9}{'x np.max':>9}{'median':>9}")
    for vocab_size in VOCAB_SIZES:
        for shape in ("peaked", "flat"):
            for chain in CHAINS:
                measured = measure(chain, shape, vocab_size)
                yardstick = measured["np.max"][0]
                for name, (lowest, median) in measured.items():
                    ratio = lowest / yardstick
                    print(
                        f"{chain:<16}{shape:<8}{vocab_size:>8}  {name:<12}"
                        f"{lowest:>9.1f}{ratio:>9.1f}{median:>9.1f}"
                    )
                    results.append([chain, shape, vocab_size, name, lowest, median])
    print(json.dumps({"columns": "chain row V contender min median", "results": results}))


if __name__ == "__main__":
    main()
