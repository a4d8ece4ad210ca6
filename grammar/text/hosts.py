"""Names and addresses of hosts, and mailboxes at them (RFC 1123, 4291, 5321, 6531)."""

from sampler.grammar.text.idn import international_label, international_name, without_hyphens
from sampler.grammar.text.parts import Part, Parts
from sampler.grammar.text.terms import Term, TermPool

MAX_NAME = 253
MAX_LOCAL_PART = 64  # octets, RFC 5321, 4.5.3.1.1

_ATOM = "A-Za-z0-9!#$%&'*+/=?^_`{|}~-"
_QUOTED = " !#-[]-~"
_OCTETS = ("\x80-\u07ff", "\u0800-\uffff", "\U00010000-\U0010ffff")  # 2, 3 and 4 in UTF-8


def ipv4(pool: TermPool) -> Term:
    """Four numbers from 0 to 255, without leading zeros."""
    parts = Parts(pool)
    digit = parts.one_of("0-9")
    small = parts.sequence(parts.optional(parts.one_of("1-9")), digit)
    return _address(parts, parts.either(small, parts.sequence("1", digit, digit)))


def ipv6(pool: TermPool) -> Term:
    """Eight groups of up to four hexadecimal digits (RFC 4291, 2.2)."""
    return _groups(Parts(pool), ipv4(pool), 1)


def hostname(pool: TermPool) -> Term:
    """Labels of letters, digits and inner hyphens; the last one is more than a number."""
    parts = Parts(pool)
    encoded = parts.sequence(
        parts.one_of("Xx"), parts.one_of("Nn"), "--", parts.repeat(parts.one_of("A-Za-z0-9-"))
    )
    return _name(parts, parts.both(ascii_label(parts), pool.complement(encoded)))


def idn_hostname(pool: TermPool) -> Term:
    """Labels as in a hostname, or of other scripts (RFC 5890)."""
    parts = Parts(pool)
    plain = _name(parts, without_hyphens(parts, ascii_label(parts)))
    return parts.either(plain, international_name(pool))


def email(pool: TermPool) -> Term:
    """A mailbox (RFC 5321, 4.1.2)."""
    parts = Parts(pool)
    local = parts.both(_local_part(parts, "", ""), _up_to(parts, MAX_LOCAL_PART))
    return _mailbox(parts, local, ascii_label(parts))


def idn_email(pool: TermPool) -> Term:
    """A mailbox with characters beyond ASCII (RFC 6531, 3.3)."""
    parts = Parts(pool)
    beyond = "\x80-\U0010ffff"
    local = parts.both(_local_part(parts, beyond, beyond), _up_to_octets(parts, MAX_LOCAL_PART))
    return _mailbox(parts, local, parts.either(ascii_label(parts), international_label(pool)))


def ascii_label(parts: Parts) -> Term:
    """1 to 63 letters, digits and hyphens, without a hyphen at an end."""
    end, inner = parts.one_of("A-Za-z0-9"), parts.one_of("A-Za-z0-9-")
    return parts.sequence(end, parts.optional(parts.repeat(inner, 0, 61), end))


def _address(parts: Parts, below_200: Term) -> Term:
    octet = parts.either(
        below_200,
        parts.sequence("2", parts.one_of("0-4"), parts.one_of("0-9")),
        parts.sequence("25", parts.one_of("0-5")),
    )
    return parts.sequence(octet, parts.repeat(parts.sequence(".", octet), 3, 3))


def _groups(parts: Parts, last: Term, least_gap: int) -> Term:
    """An IPv6 address, in which ``::`` stands for `least_gap` groups or more.

    The last two groups may be the IPv4 address `last`.
    """
    group = parts.repeat(parts.one_of("0-9A-Fa-f"), 1, 4)
    before, after = parts.sequence(group, ":"), parts.sequence(":", group)
    most = 8 - least_gap
    forms = [
        parts.sequence(parts.repeat(before, 7, 7), group),
        parts.sequence(parts.repeat(before, 6, 6), last),
    ]
    for count in range(most + 1):
        left = parts.sequence(group, parts.repeat(after, count - 1, count - 1)) if count else ""
        right: list[Part] = [""]
        if count < most:
            right.append(parts.sequence(group, parts.repeat(after, 0, most - count - 1)))
        if count < most - 1:
            right.append(parts.sequence(parts.repeat(before, 0, most - count - 2), last))
        forms.append(parts.sequence(left, "::", parts.either(*right)))
    return parts.either(*forms)


def _name(parts: Parts, label: Term) -> Term:
    last = parts.both(label, parts.pool.complement(parts.repeat(parts.one_of("0-9"))))
    name = parts.sequence(parts.repeat(parts.sequence(label, ".")), last)
    return parts.both(name, _up_to(parts, MAX_NAME))


def _local_part(parts: Parts, more_atom: str, more_quoted: str) -> Term:
    atom = parts.repeat(parts.one_of(more_atom + _ATOM), 1)
    escaped = parts.sequence("\\", parts.one_of(" -~"))
    quoted = parts.repeat(parts.either(parts.one_of(more_quoted + _QUOTED), escaped))
    return parts.either(_dotted(parts, atom), parts.sequence('"', quoted, '"'))


def _mailbox(parts: Parts, local: Term, label: Term) -> Term:
    digit = parts.one_of("0-9")
    small = parts.sequence(parts.optional(parts.one_of("01")), parts.repeat(digit, 1, 2))
    number = _address(parts, small)
    tag = [parts.one_of(f"{letter.upper()}{letter}") for letter in "ipv"]
    groups = parts.sequence(*tag, "6:", _groups(parts, number, 2))
    literal = parts.sequence("[", parts.either(number, groups), "]")
    name = parts.both(_dotted(parts, label), _up_to(parts, MAX_NAME))
    return parts.sequence(local, "@", parts.either(name, literal))


def _dotted(parts: Parts, part: Term) -> Term:
    return parts.sequence(part, parts.repeat(parts.sequence(".", part)))


def _up_to(parts: Parts, length: int) -> Term:
    return parts.repeat(parts.one_of("\0-\U0010ffff"), 0, length)


def _up_to_octets(parts: Parts, octets: int) -> Term:
    """Texts of at most so many bytes in UTF-8."""
    characters = [parts.one_of("\0-\x7f"), *map(parts.one_of, _OCTETS)]
    shorter: list[Term] = []
    for _ in range(octets + 1):
        sizes = zip(characters, reversed(shorter[-4:]), strict=False)
        shorter.append(parts.either("", *(parts.sequence(*size) for size in sizes)))
    return shorter[-1]
