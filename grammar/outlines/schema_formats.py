"""The formats that are enforced, as patterns in the syntax of `pattern`.

Each pattern is anchored by its user. Where a pattern is narrower than the format, `NARROWED` says
how; no pattern is wider. Formats in neither table are unknown, so annotations, except those of
`NOT_REGULAR`, which the specification defines and a pattern cannot express.
"""

_YEAR = "(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
_LEAP_YEAR = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DATE = (
    f"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    f"|{_LEAP_YEAR}-02-29)"
)
_HOUR_AND_MINUTE = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = f"{_HOUR_AND_MINUTE}:[0-5][0-9](?:\\.[0-9]+)?(?:Z|[+-]{_HOUR_AND_MINUTE})"
_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_GROUP = "[0-9A-Fa-f]{1,4}"
_POINTER = "(?:/(?:[^~/]|~[01])*)*"


def _ipv6() -> str:
    """Eight groups, or fewer on both sides of ``::``."""
    forms = [f"{_GROUP}(?::{_GROUP}){{7}}"]
    for before in range(8):
        left = f"{_GROUP}(?::{_GROUP}){{{before - 1}}}" if before else ""
        right = f"(?:{_GROUP}(?::{_GROUP}){{0,{6 - before}}})?" if before < 7 else ""
        forms.append(f"{left}::{right}")
    return f"(?:{'|'.join(forms)})"


def _duration() -> str:
    """The grammar of RFC 3339, appendix A."""
    second = "[0-9]+S"
    minute = f"(?:[0-9]+M(?:{second})?|{second})"
    time = f"T(?:[0-9]+H(?:[0-9]+M(?:{second})?)?|{minute})"
    day = "[0-9]+D"
    month = f"[0-9]+M(?:{day})?"
    date = f"(?:{day}|{month}|[0-9]+Y(?:{month})?)(?:{time})?"
    return f"P(?:{date}|{time}|[0-9]+W)"


_LABEL = "[A-Za-z0-9]{1,20}(?:-[A-Za-z0-9]{1,20}){0,2}"
_HOSTNAME = f"(?:{_LABEL}\\.){{0,2}}[A-Za-z][A-Za-z0-9]{{0,19}}"
_ATOM = "[A-Za-z0-9_+-]{1,20}"
_EMAIL = f"{_ATOM}(?:\\.{_ATOM}){{0,2}}@{_HOSTNAME}"
_URI_CHARACTER = "[A-Za-z0-9._~!$&'()*+,;=:@-]"
_URI = (
    f"https?://{_HOSTNAME}(?::[1-9][0-9]{{0,3}})?(?:/{_URI_CHARACTER}*)*"
    f"(?:\\?(?:{_URI_CHARACTER}|[/?])*)?(?:#(?:{_URI_CHARACTER}|[/?])*)?"
)

PATTERNS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "duration": _duration(),
    "uuid": "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "ipv4": f"{_BYTE}(?:\\.{_BYTE}){{3}}",
    "ipv6": _ipv6(),
    "json-pointer": _POINTER,
    "relative-json-pointer": f"(?:0|[1-9][0-9]*)(?:#|{_POINTER})",
    **dict.fromkeys(("email", "idn-email"), _EMAIL),
    **dict.fromkeys(("hostname", "idn-hostname"), _HOSTNAME),
    **dict.fromkeys(("uri", "iri", "uri-reference", "iri-reference", "uri-template"), _URI),
}
_UPPER = "T and Z in upper case and no leap seconds"
_WEB = "http and https addresses with a host name of up to three labels, without % escapes"
NARROWED = {
    "date": "years from 0001 to 9999",
    "time": _UPPER,
    "date-time": f"years from 0001 to 9999, {_UPPER}",
    "ipv6": "addresses without an IPv4 part",
    **dict.fromkeys(("email", "idn-email"), "letters, digits, _ + - and dots, a short host name"),
    **dict.fromkeys(("hostname", "idn-hostname"), "up to three short labels, no double hyphens"),
    **dict.fromkeys(("uri", "iri", "uri-reference", "iri-reference", "uri-template"), _WEB),
}
NOT_REGULAR = frozenset({"regex"})
