"""What is surely of a format, and what surely is not; where readers of a format differ, neither."""

import datetime
import ipaddress
import re
from collections.abc import Callable

# The drafts from which on a format is defined; in others it may be only an annotation.
_SINCE = dict.fromkeys(["date-time", "email", "hostname", "ipv4", "ipv6", "uri"], 4)
_SINCE |= dict.fromkeys(["uri-reference", "uri-template", "json-pointer"], 6)
_SINCE |= dict.fromkeys(["date", "time", "regex", "relative-json-pointer"], 7)
_SINCE |= dict.fromkeys(["idn-email", "idn-hostname", "iri", "iri-reference"], 7)
_SINCE |= dict.fromkeys(["duration", "uuid"], 2019)

_HOST = r"[a-z0-9]{1,20}(-[a-z0-9]{1,20})?(\.[a-z0-9]{1,20}(-[a-z0-9]{1,20})?){0,4}"
_DOMAIN = r"[a-z0-9]{1,20}(\.[a-z0-9]{1,20}){0,3}\.[a-z]{2,10}"
_QUERY = r"(\?[A-Za-z0-9=&._-]*)?(#[A-Za-z0-9_-]*)?"
_URI = rf"(https?|ftp)://{_DOMAIN}(:[1-9][0-9]{{0,3}})?(/[A-Za-z0-9._~-]+)*/?{_QUERY}"
_TIME = (
    r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
_NOT_OF_URI = r'[^]*[ <>"{}|\\^`\x00-\x1f\x7f][^]*'.replace("[^]", r"[\s\S]")

_VALID = {
    "time": _TIME,
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "email": rf"[a-z0-9]+([._+-][a-z0-9]+){{0,3}}@{_DOMAIN}",
    "hostname": rf"(?!.*--){_HOST}",
    "uri": _URI,
    "uri-reference": rf"{_URI}|(/[A-Za-z0-9._~-]+)+",
    "uri-template": _URI,
    "json-pointer": r"(/([^~/]|~[01])*)*",
    "relative-json-pointer": r"(0|[1-9][0-9]{0,4})(#|(/([^~/]|~[01])*)*)",
    "duration": r"P[0-9]{1,3}[YMWD]|PT[0-9]{1,3}[HMS]",
    "regex": r"\^?[a-z0-9]+\$?",
}
_INVALID = {
    "time": r"(?![0-9]{2}:[0-9]{2}:[0-9]{2})[\s\S]*",
    "date-time": r"(?![0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2})[\s\S]*",
    "uuid": r"(?![0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z)[\s\S]*",
    "email": r"[^@]*|[^@]*@",
    "hostname": r"[\s\S]*[ _/:@!?\x00-\x1f][\s\S]*|",
    "uri": rf"{_NOT_OF_URI}|[^:]*",
    "uri-reference": _NOT_OF_URI,
    "json-pointer": r"[^/][\s\S]*|[\s\S]*~(?![01])[\s\S]*",
    "relative-json-pointer": r"[^0-9][\s\S]*|",
    "duration": r"[^P][\s\S]*||P",
    "regex": r"[(\[*+?)]",
}
for _wider, _narrower in (("iri", "uri"), ("iri-reference", "uri-reference")):
    _VALID[_wider], _INVALID[_wider] = _VALID[_narrower], r"[\s\S]* [\s\S]*"
for _wider, _narrower in (("idn-email", "email"), ("idn-hostname", "hostname")):
    _VALID[_wider], _INVALID[_wider] = _VALID[_narrower], _INVALID[_narrower]


def is_of_format(name: str, text: str, draft: int) -> bool | None:
    """Whether `text` is of a format; True where the format is unknown, None where it is unsure."""
    if name not in _SINCE:
        return True
    found = _EXACT[name](text) if name in _EXACT else None
    if found is None and name in _VALID and re.fullmatch(_VALID[name], text):
        found = True
    if found is None and name in _INVALID and re.fullmatch(_INVALID[name], text):
        found = False
    if draft < _SINCE[name] and not found:
        return None
    return found


def _is_date(text: str) -> bool | None:
    if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    try:
        return bool(datetime.date.fromisoformat(text))
    except ValueError:
        return None if text.startswith("0000") else False


def _is_date_time(text: str) -> bool | None:
    day, between, time = text[:10], text[10:11], text[11:]
    if between == "T" and _is_date(day) is True and re.fullmatch(_TIME, time):
        return True
    if between in ("T", "t", " ") and _is_date(day) is False:
        return False
    return None


def _is_address(of: Callable[[str], object], legal: str) -> Callable[[str], bool | None]:
    def check(text: str) -> bool | None:
        if not text.isascii():
            return None
        try:
            return bool(of(text)) and bool(re.fullmatch(legal, text))
        except ValueError:
            return False

    return check


_EXACT: dict[str, Callable[[str], bool | None]] = {
    "date": _is_date,
    "date-time": _is_date_time,
    "ipv4": _is_address(ipaddress.IPv4Address, "[0-9.]+"),
    "ipv6": _is_address(ipaddress.IPv6Address, "[0-9a-fA-F:.]+"),
}
