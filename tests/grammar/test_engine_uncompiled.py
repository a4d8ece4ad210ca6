"""The kernels of grammars are plain functions where compilation is switched off."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MASKS = r"""
import hashlib
import random
import sys
import numpy as np
sys.path[:0] = [ROOT, ROOT + "/tests"]
from example_tokenizers import trained_byte_level
from sampler import Vocabulary
from sampler.grammar import GrammarCompiler, allocate_token_bitmask

vocabulary = Vocabulary.from_tokenizer(trained_byte_level(), eos_token_ids=[0])
compiler = GrammarCompiler(vocabulary)
schema = {"properties": {"a": {"type": "integer"}, "ab": {"pattern": "^x{2,9}"}}, "type": "object"}
digest, choice = hashlib.sha256(), random.Random(1)
bitmask = allocate_token_bitmask(1, vocabulary.size)
for grammar in (compiler.compile_json_schema(schema), compiler.compile_regex("(a|é)*[0-9]{3}")):
    matcher = grammar.matcher()
    for _ in range(12):
        matcher.fill_next_token_bitmask(bitmask)
        digest.update(bitmask.tobytes())
        bits = np.unpackbits(bitmask[0].view(np.uint8), bitorder="little")
        assert matcher.accept_token(choice.choice(np.flatnonzero(bits).tolist()))
        if matcher.is_terminated():
            break
print(digest.hexdigest())
"""


def digest(**environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"ROOT = {str(ROOT)!r}\n{MASKS}"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_masks_are_the_same_without_compilation():
    assert digest(NUMBA_DISABLE_JIT="1") == digest()
