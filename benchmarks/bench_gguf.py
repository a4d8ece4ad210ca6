"""Tokens per CPU-second of a GGUF model, beside llama.cpp on the same file where it is installed.

Run as ``python benchmarks/bench_gguf.py [smollm2 | PATH]``. Decoding reads all weights once for
each step and is bound by memory and by unpacking weights; a longer prompt or a larger batch shares
that among its rows. Each round times every contender once, one thread each, process time; best of
the rounds. Peer: llama-cpp-python. The last line is one JSON document.
"""

import json
import resource
import sys
import time
from types import SimpleNamespace

import numpy as np

from sampler.models import open_model
from sampler.models.opening import smollm2_path

ROUNDS = 5
PROMPT_TOKENS = 256
DECODED_TOKENS = 32
BATCH_SIZES = (1, 4, 16)


def seconds(call):
    start = time.process_time()
    call()
    return time.process_time() - start


def prefill(model, token_ids):
    view = SimpleNamespace(id="prefill", token_ids=token_ids)
    taken = seconds(lambda: model([view]))
    model.release("prefill")
    return taken


def decode(model, token_ids, batch_size):
    """Seconds for DECODED_TOKENS greedy steps of a batch after a short prompt."""
    views = [
        SimpleNamespace(id=row, token_ids=np.append(token_ids[:16], row))
        for row in range(batch_size)
    ]
    logits = model(views)

    def steps():
        nonlocal logits
        for _ in range(DECODED_TOKENS):
            for view, row in zip(views, logits, strict=True):
                view.token_ids = np.append(view.token_ids, row.argmax())
            logits = model(views)

    taken = seconds(steps)
    for view in views:
        model.release(view.id)
    return taken


def ours(path, token_ids):
    """Each measurement by name: (tokens, call that gives its seconds)."""
    model = open_model(path, prefix_reuse=False).model
    measurements = {"prefill": (PROMPT_TOKENS, lambda: prefill(model, token_ids))}
    for size in BATCH_SIZES:
        measurements[f"decode B={size}"] = (
            size * DECODED_TOKENS,
            lambda size=size: decode(model, token_ids, size),
        )
    return measurements


def llama_cpp(path, token_ids):
    """The same of llama.cpp, which decodes one sequence at a time here; empty without it."""
    try:
        from llama_cpp import Llama
    except ImportError:
        return {}
    llama = Llama(str(path), n_ctx=512, n_threads=1, n_threads_batch=1, verbose=False)
    prompt = token_ids.tolist()

    def prefill():
        llama.reset()
        return seconds(lambda: llama.eval(prompt))

    def decode():
        llama.reset()
        llama.eval(prompt[:17])

        def steps():
            for _ in range(DECODED_TOKENS):
                llama.eval([llama.sample(temp=0.0)])

        return seconds(steps)

    return {"prefill": (PROMPT_TOKENS, prefill), "decode B=1": (DECODED_TOKENS, decode)}


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else "smollm2"
    path = smollm2_path() if name == "smollm2" else name
    started = time.process_time()
    open_model(path)
    loaded = time.process_time() - started
    token_ids = np.random.default_rng(0).integers(100, 40_000, PROMPT_TOKENS)
    contenders = {"sampler": ours(path, token_ids)}
    contenders["sampler"]["decode B=1"][1]()  # compiles or loads the kernels
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    contenders["llama.cpp"] = llama_cpp(path, token_ids)
    best = {}
    for _ in range(ROUNDS):
        for contender, measurements in contenders.items():
            for measurement, (tokens, call) in measurements.items():
                key = measurement, contender
                best[key] = max(best.get(key, 0.0), tokens / call())
    print(f"load {loaded:.2f} s, resident {memory} MB after decoding at B=1")
    print(f"{'measurement':<14}{'contender':<12}{'tokens/s':>10}")
    for (measurement, contender), rate in sorted(best.items()):
        print(f"{measurement:<14}{contender:<12}{rate:>10.1f}")
    results = [[*key, rate] for key, rate in best.items()]
    print(json.dumps({"load_s": loaded, "resident_mb": memory, "tokens_per_s": results}))


if __name__ == "__main__":
    main()
