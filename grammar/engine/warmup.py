"""Getting the kernels of grammars ready, so that none is compiled while texts are followed."""

from functools import cache

from sampler.grammar.bitmask import allocate_token_bitmask
from sampler.grammar.engine.compiled import CompiledGrammar
from sampler.grammar.engine.program import Op, Program
from sampler.grammar.engine.tokens import TokenTrie


class _Bytes:
    """The smallest vocabulary that spells everything: all bytes, and an end."""

    size = 257
    eos_token_ids = (256,)
    special_token_ids = frozenset((256,))

    def token_bytes(self, token_id: int) -> bytes:
        return bytes((token_id,)) if token_id < 256 else b""


@cache
def compile_kernels() -> None:
    """None; afterwards every kernel that follows grammars is compiled, or loaded from the cache."""
    program = Program()

    def write() -> None:
        program.emit_bytes(b"ab")
        program.emit(Op.ACCEPT)

    program.declare_frame(write, closes=False)
    matcher = CompiledGrammar(program, TokenTrie(_Bytes()), distinct_keys=True).matcher()
    bitmask = allocate_token_bitmask(1, _Bytes.size)
    matcher.fill_next_token_bitmask(bitmask)
    matcher.accept_token(ord("a"))
    matcher.find_jump_forward_bytes()
    matcher.accept_bytes(b"b")
