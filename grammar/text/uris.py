"""Addresses of resources and templates of them (RFC 3986, 3987, 6570)."""

from sampler.grammar.text.hosts import ipv6
from sampler.grammar.text.parts import Parts
from sampler.grammar.text.terms import Term, TermPool

_UNRESERVED = "A-Za-z0-9._~-"
_DELIMITERS = "!$&'()*+,;="
_PLANES = "".join(f"{chr(n << 16)}-{chr((n << 16) + 0xFFFD)}" for n in range(1, 14))
# RFC 3987 has no marks of direction (4.1), though its `ucschar` holds them.
_BEYOND_ASCII = (
    f"\xa0-\u200d\u2010-\u2029\u202f-\ud7ff\uf900-\ufdcf\ufdf0-\uffef{_PLANES}\U000e1000-\U000efffd"
)
_PRIVATE = "\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"
_TEMPLATE_LITERAL = "!#$&-;=?-[]_a-z~"


def uri(pool: TermPool) -> Term:
    """An address with a scheme (RFC 3986, appendix A)."""
    return _Address(pool, "", "").absolute()


def uri_reference(pool: TermPool) -> Term:
    """An address, or one relative to another."""
    address = _Address(pool, "", "")
    return pool.alternation([address.absolute(), address.relative()])


def iri(pool: TermPool) -> Term:
    """An address with characters beyond ASCII (RFC 3987, 2.2)."""
    return _Address(pool, _BEYOND_ASCII, _PRIVATE).absolute()


def iri_reference(pool: TermPool) -> Term:
    """An address with characters beyond ASCII, or one relative to another."""
    address = _Address(pool, _BEYOND_ASCII, _PRIVATE)
    return pool.alternation([address.absolute(), address.relative()])


def uri_template(pool: TermPool) -> Term:
    """Literals and expressions (RFC 6570, 2)."""
    parts = Parts(pool)
    escaped = _escaped(parts)
    literal = parts.one_of(_BEYOND_ASCII + _PRIVATE + _TEMPLATE_LITERAL)
    character = parts.either(parts.one_of("A-Za-z0-9_"), escaped)
    dotted = parts.sequence(parts.optional("."), character)
    length = parts.sequence(":", parts.one_of("1-9"), parts.repeat(parts.one_of("0-9"), 0, 3))
    variable = parts.sequence(
        character, parts.repeat(dotted), parts.optional(parts.either("*", length))
    )
    variables = parts.sequence(variable, parts.repeat(parts.sequence(",", variable)))
    expression = parts.sequence("{", parts.optional(parts.one_of("+#./;?&")), variables, "}")
    return parts.repeat(parts.either(literal, escaped, expression))


def _escaped(parts: Parts) -> Term:
    hexadecimal = parts.one_of("0-9A-Fa-f")
    return parts.sequence("%", hexadecimal, hexadecimal)


class _Address:
    """The rules of RFC 3986, with `more` characters in names and `private` ones in queries."""

    def __init__(self, pool: TermPool, more: str, private: str) -> None:
        self._parts = parts = Parts(pool)
        self._pool = pool
        self._escaped = _escaped(parts)
        self._plain = more + _DELIMITERS + _UNRESERVED
        self._segment = self._repeat(":@")
        query = parts.optional("?", self._repeat(f"{private}/?:@"))
        self._end = parts.sequence(query, parts.optional("#", self._repeat("/?:@")))
        self._further = parts.repeat(parts.sequence("/", self._segment))
        self._rooted = parts.sequence("/", parts.optional(self._repeat(":@", 1), self._further))

    def absolute(self) -> Term:
        parts = self._parts
        scheme = parts.sequence(parts.one_of("A-Za-z"), parts.repeat(parts.one_of("A-Za-z0-9+.-")))
        rootless = parts.sequence(self._repeat(":@", 1), self._further)
        path = parts.either(self._hosted(), self._rooted, rootless, "")
        return parts.sequence(scheme, ":", path, self._end)

    def relative(self) -> Term:
        parts = self._parts
        without_scheme = parts.sequence(self._repeat("@", 1), self._further)
        path = parts.either(self._hosted(), self._rooted, without_scheme, "")
        return parts.sequence(path, self._end)

    def _repeat(self, more: str, low: int = 0) -> Term:
        character = self._parts.one_of(more + self._plain)
        return self._parts.repeat(self._parts.either(character, self._escaped), low)

    def _hosted(self) -> Term:
        """Two slashes, a host and a path."""
        parts = self._parts
        future = parts.sequence(
            parts.one_of("Vv"),
            parts.repeat(parts.one_of("0-9A-Fa-f"), 1),
            ".",
            parts.repeat(parts.one_of(f":{_DELIMITERS}{_UNRESERVED}"), 1),
        )
        literal = parts.sequence("[", parts.either(ipv6(self._pool), future), "]")
        host = parts.either(literal, self._repeat(""))
        user, port = self._repeat(":"), parts.repeat(parts.one_of("0-9"))
        authority = parts.sequence(parts.optional(user, "@"), host, parts.optional(":", port))
        return parts.sequence("//", authority, self._further)
