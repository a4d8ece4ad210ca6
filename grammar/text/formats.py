"""The formats that JSON Schema names, as languages of texts.

No language is wider than its format. `NARROWED` says how some are narrower: where a standard leaves
the regular languages, and where readers of the format take less than its standard.
"""

from collections.abc import Callable

from sampler.grammar.text import dates, hosts, identifiers, regex_format, uris
from sampler.grammar.text.regex import parse_regex
from sampler.grammar.text.terms import Term, TermPool

_BUILDERS: dict[str, Callable[[TermPool], Term]] = {
    "date": dates.date,
    "time": dates.time,
    "date-time": dates.date_time,
    "duration": dates.duration,
    "uuid": identifiers.uuid,
    "ipv4": hosts.ipv4,
    "ipv6": hosts.ipv6,
    "hostname": hosts.hostname,
    "idn-hostname": hosts.idn_hostname,
    "email": hosts.email,
    "idn-email": hosts.idn_email,
    "uri": uris.uri,
    "uri-reference": uris.uri_reference,
    "iri": uris.iri,
    "iri-reference": uris.iri_reference,
    "uri-template": uris.uri_template,
    "json-pointer": identifiers.json_pointer,
    "relative-json-pointer": identifiers.relative_json_pointer,
    "regex": regex_format.regex,
}


def _shared(build: Callable[[TermPool], Term]) -> Callable[[TermPool], Term]:
    return lambda pool: pool.interned((_shared, build), lambda: build(pool))


# Each gives the texts of a format, built when a pool is first asked for them.
FORMATS = {name: _shared(build) for name, build in _BUILDERS.items()}

_YEARS = "years from 0001 to 9999"
_LABELS = (
    "labels with up to 3 characters beyond ASCII among 43, 8 among 22 or 11 among 13, "
    "none of which depends on its neighbours"
)
NARROWED = {
    "date": _YEARS,
    "date-time": _YEARS,
    "hostname": "names without encoded labels (xn--)",
    "idn-hostname": f"names without encoded labels (xn--), up to three {_LABELS}",
    "idn-email": f"addresses with {_LABELS}",
    "relative-json-pointer": "pointers without a change of the index",
    "uri-template": "templates without the operators kept for extensions",
    "regex": "patterns without references, names and properties, and groups up to four deep",
}

_XN = r"[xX][nN]--"
_LEFT_OUT = {  # what each of them leaves out, if not more: what a text of that contains
    "date": r"^0000-[0-9]{2}-[0-9]{2}$",
    "date-time": r"^0000-[0-9]{2}-[0-9]{2}[Tt ]",
    "hostname": _XN,
    "idn-hostname": rf"[^\x00-\x7F]|{_XN}",
    "idn-email": rf"[^\x00-\x7F]|{_XN}",
    "relative-json-pointer": r"^[0-9]+[+-]",
    "uri-template": r"\{[=,!@|]",
    "regex": r"[\\(\[{]",
}


def _widened(name: str) -> Callable[[TermPool], Term]:
    def build(pool: TermPool) -> Term:
        return FORMATS[name](pool) | parse_regex(_LEFT_OUT[name], pool, search=True)

    return _shared(build)


# Each gives the texts that may have a format: where it decides that others are not allowed.
WIDENED = {name: _widened(name) if name in NARROWED else FORMATS[name] for name in FORMATS}
