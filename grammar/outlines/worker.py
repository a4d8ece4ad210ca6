"""The child process that compiles regular expressions with outlines-core.

Run as a script, not imported: it reads requests from standard input and writes answers to standard
output until its input ends. A request is a pickled pair (pattern, boundary character) in a frame,
an answer a pickled dict. It imports nothing of the project, so that it starts fast and can be
killed at any time without loss.

The vocabulary given to outlines-core is the 256 single bytes, so its index is the automaton over
bytes itself. The pattern is put between two boundary characters that it never matches itself:
outlines-core determinizes the unanchored search too, which explodes for most JSON patterns, unless
a match can begin at one place only; and it drops what comes after the first match in order of
preference ("a|ab" would never match "ab"), unless every match ends in the same character.
"""

import pickle
import resource
import signal
import struct
import sys
from array import array
from typing import Any, BinaryIO

from outlines_core import Index, Vocabulary

_END_TOKEN = 256


def compile_pattern(pattern: str, boundary: str) -> dict[str, Any]:
    """The automaton of `pattern` as flat arrays: edges (state, byte, next), accepting, initial."""
    vocabulary = Vocabulary(_END_TOKEN, {bytes([byte]): [byte] for byte in range(256)})
    fence = f"\\x{{{ord(boundary):x}}}"
    index = Index(f"{fence}(?:{pattern}){fence}", vocabulary)
    transitions = index.get_transitions()
    byte = ord(boundary)
    initial = transitions[index.get_initial_state()][byte]
    numbers = {initial: 0}
    edges, accepting, waiting = array("q"), array("q"), [initial]
    while waiting:
        state = waiting.pop()
        for token, following in transitions.get(state, {}).items():
            if token == byte:
                accepting.append(numbers[state])
            elif token != _END_TOKEN:
                if following not in numbers:
                    numbers[following] = len(numbers)
                    waiting.append(following)
                edges.extend((numbers[state], token, numbers[following]))
    return {"edges": edges.tobytes(), "accepting": accepting.tobytes(), "states": len(numbers)}


def answer(request: tuple[str, str]) -> dict[str, Any]:
    """What `compile_pattern` returns, or ``{"error": reason}`` or ``{"out_of_memory": True}``."""
    try:
        return compile_pattern(*request)
    except MemoryError:
        return {"out_of_memory": True}
    except Exception as error:  # whatever the library raises is the answer
        return {"error": f"{error}"}


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next frame of `stream` (8 bytes of length, then the content), or None at its end."""
    head = stream.read(8)
    if len(head) < 8:
        return None
    return stream.read(struct.unpack("<Q", head)[0])


def main() -> None:
    """None; serves until standard input ends. ``argv[1]`` is the limit of memory in bytes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    limit = int(sys.argv[1])
    _, ceiling = resource.getrlimit(resource.RLIMIT_AS)
    if ceiling != resource.RLIM_INFINITY:
        limit = min(limit, ceiling)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while (frame := read_frame(sys.stdin.buffer)) is not None:
        content = pickle.dumps(answer(pickle.loads(frame)))
        sys.stdout.buffer.write(struct.pack("<Q", len(content)) + content)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
