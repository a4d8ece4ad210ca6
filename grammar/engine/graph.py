"""An automaton as a graph for Graphviz: its positions, and the bytes between them."""

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from sampler.errors import GrammarLimitError

if TYPE_CHECKING:
    from sampler.grammar.engine.automaton import Automaton

_NAMES = {0x20: "space", 0x09: "\\\\t", 0x0A: "\\\\n", 0x0D: "\\\\r"}
_SPECIAL = b'"\\'


def dot_of(automaton: "Automaton", start: int, max_positions: int) -> str:
    """The graph of all positions that texts come to from `start`.

    Raises
    ------
    GrammarLimitError : there are more than `max_positions`
    """
    numbers, edges = {start: 0}, list[str]()
    waiting = [start]
    for position in waiting:
        for target, label in _edges(automaton, position):
            if target not in numbers:
                if len(numbers) >= max_positions:
                    given = len(numbers) + 1
                    raise GrammarLimitError("positions of a graph", given, max_positions)
                numbers[target] = len(numbers)
                waiting.append(target)
            edges.append(f'  {numbers[position]} -> {numbers[target]} [label="{label}"];')
    ends = [number for position, number in numbers.items() if automaton.accepts(position)]
    nodes = [f"  {number} [shape=doublecircle];" for number in ends]
    head = ["digraph grammar {", "  rankdir=LR;", "  node [shape=circle];"]
    head += ['  start [shape=none, label=""];', "  start -> 0;"]
    return "\n".join([*head, *nodes, *edges, "}"]) + "\n"


def _edges(automaton: "Automaton", position: int) -> Iterator[tuple[int, str]]:
    """Each position that comes next, and the bytes that lead there."""
    by_target: dict[int, list[int]] = {}
    for byte in range(256):
        target = automaton.after_byte(position, byte)
        if target:
            by_target.setdefault(target, []).append(byte)
    for target, taken in by_target.items():
        yield target, ", ".join(_runs(taken))


def _runs(taken: list[int]) -> Iterator[str]:
    """Ascending bytes by their names, runs of three and more with a dash."""
    for _, group in groupby(enumerate(taken), lambda pair: pair[1] - pair[0]):
        run = [byte for _, byte in group]
        if len(run) > 2:
            yield f"{_name(run[0])}-{_name(run[-1])}"
        else:
            yield from map(_name, run)


def _name(byte: int) -> str:
    if byte in _NAMES:
        return _NAMES[byte]
    if byte in _SPECIAL:
        return f"\\{chr(byte)}"
    return chr(byte) if 0x20 < byte < 0x7F else f"0x{byte:02X}"
