"""Tokens per CPU-second of a GGUF model, beside llama.cpp on the same file where it is installed.

First the process with default options and kernels that are compiled already: its time to load the
model; its resident memory after one sequence of 272 tokens; how many tokens of such sequences, one
after another, the cache of keys and values holds within 350 MB; and its memory with a full cache,
after a batch of 16. With SmolLM2-135M on x86-64: 318 MB, 816 tokens and 450 MB.

Run as ``python benchmarks/bench_gguf.py [smollm2 | PATH]``. Decoding reads all weights once for
each step and is bound by memory and by unpacking weights; a longer prompt or a larger batch shares
that among its rows. Each round times every contender once, one thread each, process time; best of
the rounds. Peer: llama-cpp-python. The last line is one JSON document.
"""

import json
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np

from sampler import Generator
from sampler.models import open_model
from sampler.models.opening import smollm2_path

ROUNDS = 5
PROMPT_TOKENS = 256
SEQUENCE_TOKENS = PROMPT_TOKENS + 16
DECODED_TOKENS = 32
BATCH_SIZES = (1, 4, 16)
MEMORY_MB = 350
WORDS = ["time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world"]


def resident():
    """The most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // 10**6


def asked(seed, words):
    """A request of one token for each word, and 16 more."""
    text = " ".join(np.random.default_rng(seed).choice(WORDS, words))
    parameters = {"seed": seed, "top_p": 0.9, "ignore_eos": True, "max_new_tokens": 16}
    return {"inputs": text, "parameters": parameters}


def load_and_fill(path):
    """Seconds to load the model, MB after each of some sequences, and MB with a full cache."""
    started = time.process_time()
    opened = open_model(path)
    loaded = time.process_time() - started
    size, room = max(BATCH_SIZES), opened.model.kv_cache_tokens
    words = room // size - 32  # 16 new tokens, and 15 lost in a last block
    memory = []
    with (
        Generator(opened.model, opened.tokenizer, size) as generator,
        ThreadPoolExecutor(size) as pool,
    ):
        for seed in range(-(-room // SEQUENCE_TOKENS)):  # the cache keeps what they leave
            generator.generate(asked(seed, PROMPT_TOKENS))
            memory.append(resident())
        list(pool.map(generator.generate, [asked(size + row, words) for row in range(size)]))
    return loaded, memory, resident()


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
    model = open_model(path, prefix_reuse=False, kv_cache_bytes=64 << 20).model
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
    # compiles the kernels, in a process whose memory does not count
    subprocess.run([sys.executable, "-c", "import sampler; sampler.warmup()"], check=True)
    loaded, memory, full = load_and_fill(path)
    within = SEQUENCE_TOKENS * sum(mb <= MEMORY_MB for mb in memory)
    token_ids = np.random.default_rng(0).integers(100, 40_000, PROMPT_TOKENS)
    contenders = {"sampler": ours(path, token_ids)}
    contenders["llama.cpp"] = llama_cpp(path, token_ids)
    best = {}
    for _ in range(ROUNDS):
        for contender, measurements in contenders.items():
            for measurement, (tokens, call) in measurements.items():
                key = measurement, contender
                best[key] = max(best.get(key, 0.0), tokens / call())
    print(f"load {loaded:.2f} s, resident {memory[0]} MB after {SEQUENCE_TOKENS} tokens at B=1,")
    print(f"<= {MEMORY_MB} MB with {within} tokens held, {full} MB with a full cache and B=16")
    print(f"{'measurement':<14}{'contender':<12}{'tokens/s':>10}")
    for (measurement, contender), rate in sorted(best.items()):
        print(f"{measurement:<14}{contender:<12}{rate:>10.1f}")
    results = [[*key, rate] for key, rate in best.items()]
    memories = {"load_s": loaded, "resident_mb": memory, "resident_full_mb": full}
    print(json.dumps({**memories, "tokens_per_s": results}))


if __name__ == "__main__":
    main()
