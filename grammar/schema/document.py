"""The schemas of a document: where each stands, its draft, and what its references lead to.

Reading a document is one light pass: every keyword's own value is checked, every schema gets its
place and its base URI, and what the specification only annotates is listed. Whether a document is
valid under the meta-schema of its draft is not asked beyond that, because it takes milliseconds.
References are followed inside the document, into the documents of a registry and into the
meta-schemas that come along; never over the network.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from sampler.errors import GrammarError, UnsupportedSchemaError, shown
from sampler.grammar.schema.keywords import (
    ANNOTATIONS,
    KEYWORDS,
    LATEST,
    NUMERIC,
    Form,
    check_form,
)

_DRAFTS = {
    "json-schema.org/draft-04/schema": 4,
    "json-schema.org/draft-06/schema": 6,
    "json-schema.org/draft-07/schema": 7,
    "json-schema.org/draft/2019-09/schema": 2019,
    "json-schema.org/draft/2020-12/schema": LATEST,
}


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """One schema at its place; interned, the same place is the same object.

    Attributes
    ----------
    keywords : the schema itself; `TRUE` and `FALSE` are the schemas that are booleans
    pointer : where it stands, as a JSON pointer (RFC 6901); "" is the root
    draft : 4, 6, 7, 2019 or 2020
    base : the URI that its references are relative to
    is_made : whether it stands in no document
    """

    keywords: dict[str, Any] | bool
    pointer: str
    draft: int = LATEST
    base: str = ""
    is_made: bool = False

    def get(self, word: str, default: Any = None) -> Any:
        """The value of the keyword `word`, or `default`."""
        return default if isinstance(self.keywords, bool) else self.keywords.get(word, default)

    def where(self, *tokens: object) -> str:
        """The JSON pointer of what stands inside of this schema."""
        return self.pointer + "".join(f"/{escape(str(token))}" for token in tokens)


TRUE = Schema(True, "")
FALSE = Schema(False, "")


def escape(token: str) -> str:
    """`token` as a part of a JSON pointer (RFC 6901)."""
    if "~" in token or "/" in token:
        return token.replace("~", "~0").replace("/", "~1")
    return token


class Documents:
    """The document that is compiled, and those that its references lead to.

    Parameters
    ----------
    root : the schema; nothing in it is shared, as in what ``json.loads`` gives
    registry : a ``referencing.Registry`` of other documents, or None

    Attributes
    ----------
    root : the outermost schema
    used : the keywords that occur anywhere
    formats : names of formats, with the pointers of the keyword
    patterns : regular expressions of strings, with the pointer of one keyword each
    numeric : the schemas that say something of numbers
    references : the schemas that have a `$ref`; following them may add some
    alternatives : those that have a `oneOf`
    unknown : pointers of keywords that the draft does not know
    drafts : those of the schemas that have been read

    Raises
    ------
    GrammarError : a keyword's value has the wrong form
    UnsupportedSchemaError : another ``$schema`` than drafts 4, 6, 7, 2019-09 and 2020-12
    """

    def __init__(self, root: dict[str, Any] | bool, registry: Any = None) -> None:
        self._registry = registry
        self._places: dict[int, Schema] = {}
        self._resources: dict[str, Any] = {}
        self._anchors: dict[tuple[str, str], Schema] = {}
        self._dynamic: dict[str, int] = {}
        self._resolved: dict[tuple[str, str], Schema] = {}
        self._kept: list[Any] = []  # so that ids stay their own
        self._opposites: dict[int, Any] = {}
        self._made: dict[tuple[str, int, int, str], Schema] = {}
        self.used: set[str] = set()
        self.formats: dict[str, list[str]] = {}
        self.patterns: dict[str, str] = {}
        self.numeric: list[Schema] = []
        self.references: list[Schema] = []
        self.alternatives: list[Schema] = []
        self.unknown: list[str] = []
        self.drafts: set[int] = set()
        self._read(root, "", _draft(root, LATEST), "")
        self.root = self.place(root)

    def place(self, keywords: Any) -> Schema:
        """The schema that `keywords`, a part of a document, is."""
        if keywords is True:
            return TRUE
        return FALSE if keywords is False else self._places[id(keywords)]

    def made(self, keywords: dict[str, Any] | bool, like: Schema) -> Schema:
        """A schema that stands in no document; messages place all of it where `like` stands.

        What is not new in it, parts of documents, keeps its place.
        """
        if isinstance(keywords, bool) or id(keywords) in self._places:
            return self.place(keywords)
        self._kept.append(keywords)
        waiting: list[Any] = [keywords]
        while waiting:
            new = waiting.pop()
            if isinstance(new, dict) and id(new) not in self._places:
                place = Schema(new, like.pointer, like.draft, like.base, is_made=True)
                self._places[id(new)] = place
                for word, value in new.items():
                    if word in KEYWORDS and KEYWORDS[word].form in _INSIDE:
                        inside = _schemas_inside(KEYWORDS[word].form, value, "")
                        waiting.extend(part for part, _ in inside)
        return self._places[id(keywords)]

    def made_once(self, keywords: dict[str, Any], like: Schema) -> Schema:
        """As `made`, but the same schema for the same property under the same schema."""
        ((name, part),) = keywords["properties"].items()
        key = name, id(part), like.draft, like.base
        if key not in self._made:
            self._made[key] = self.made(keywords, like)
        return self._made[key]

    def negated(self, keywords: Any, like: Schema) -> Any:
        """The schema of what is not valid under `keywords`, a part of a document or made.

        The same one for the same part, so that the negation of a recursive schema ends; and the
        negation of a negation is the part itself.
        """
        if isinstance(keywords, bool):
            return not keywords
        passed: set[int] = set()
        while "$ref" in keywords and len(keywords) == 1 and id(keywords) not in passed:
            passed.add(id(keywords))  # the negation of what is meant
            keywords = self.resolve(self._places.get(id(keywords), like), "$ref").keywords
            if isinstance(keywords, bool):
                return not keywords
        if id(keywords) not in self._opposites:
            opposite = {"not": keywords}
            self._opposites[id(keywords)] = opposite
            self._opposites[id(opposite)] = keywords
            self.made(opposite, self._places.get(id(keywords), like))
        return self._opposites[id(keywords)]

    def are_opposite(self, schemas: Iterable[Schema]) -> bool:
        """Whether one of `schemas` is known as the negation of another one."""
        known = self._opposites
        opposites = {id(known[id(s.keywords)]) for s in schemas if id(s.keywords) in known}
        return bool(opposites) and any(id(s.keywords) in opposites for s in schemas)

    def _read(self, root: Any, pointer: str, draft: int, base: str) -> None:
        """None; checks and places `root` and every schema inside of it."""
        self._resources.setdefault(base, root)
        self._kept.append(root)
        waiting = [(root, pointer, draft, base)]
        while waiting:
            keywords, pointer, draft, base = waiting.pop()
            if isinstance(keywords, bool) or id(keywords) in self._places:
                continue
            if not isinstance(keywords, dict):
                raise GrammarError(
                    f"a schema must be an object or a boolean (at {pointer!r})."
                    f" Given: {shown(keywords)}"
                )
            if "id" in keywords or "$id" in keywords:
                draft, base = self._identify(keywords, draft, base)
            schema = self._places[id(keywords)] = Schema(keywords, pointer, draft, base)
            self.drafts.add(draft)
            self._note_anchors(schema, keywords)
            waiting.extend(
                (part, inner, draft, base) for part, inner in self._parts(schema, keywords)
            )

    def _identify(self, keywords: dict[str, Any], draft: int, base: str) -> tuple[int, str]:
        """The draft and the base URI inside of a schema that may have a name."""
        name = keywords.get("$id" if draft > 4 else "id")
        if not isinstance(name, str) or name.startswith("#"):
            return draft, base
        if "$ref" in keywords and draft <= 7:
            return draft, base  # these drafts ignore what stands beside a reference
        draft = _draft(keywords, draft)
        base = _joined(base, name)
        self._resources.setdefault(base, keywords)
        return draft, base

    def _note_anchors(self, schema: Schema, keywords: dict[str, Any]) -> None:
        name = keywords.get("$id" if schema.draft > 4 else "id")
        if schema.draft <= 7:
            if isinstance(name, str) and "#" in name:
                self._anchors.setdefault((schema.base, name.partition("#")[2]), schema)
            return
        for keyword in ("$anchor", "$dynamicAnchor"):
            name = keywords.get(keyword)
            if isinstance(name, str):
                self._anchors.setdefault((schema.base, name), schema)
                if keyword == "$dynamicAnchor":
                    self._dynamic[name] = self._dynamic.get(name, 0) + 1
        if keywords.get("$recursiveAnchor") is True:
            self._dynamic["#"] = self._dynamic.get("#", 0) + 1

    def _parts(self, schema: Schema, keywords: dict[str, Any]) -> Iterator[tuple[Any, str]]:
        """The schemas directly inside of `schema`; its other keywords are checked."""
        if not NUMERIC.isdisjoint(keywords):
            self.numeric.append(schema)
        for word, value in keywords.items():
            known = KEYWORDS.get(word)
            if known is None or not known.since <= schema.draft <= known.until:
                if word not in ANNOTATIONS:
                    self.unknown.append(schema.where(word))
                continue
            self.used.add(word)
            if not check_form(known.form, value, schema.draft):
                raise GrammarError(
                    f"`{word}` must be {known.form.value}. Given: {shown(value)}"
                    f" (at {schema.where(word)!r})"
                )
            if known.form in _INSIDE:
                yield from _schemas_inside(known.form, value, f"{schema.pointer}/{word}")
            elif word == "format":
                self.formats.setdefault(value, []).append(schema.where(word))
            elif word == "pattern":
                self.patterns.setdefault(value, schema.where(word))
            elif word == "$ref":
                self.references.append(schema)
            if word == "oneOf":
                self.alternatives.append(schema)

    def resolve(self, schema: Schema, keyword: str) -> Schema:
        """The schema that the reference `keyword` of `schema` leads to.

        Raises
        ------
        UnsupportedSchemaError : it leads to a document that is not there
        GrammarError : it names nothing
        """
        key = schema.base, schema.get(keyword)
        if key not in self._resolved:
            self._resolved[key] = self._resolve(schema, keyword)
        return self._resolved[key]

    def _resolve(self, schema: Schema, keyword: str) -> Schema:
        reference, where = schema.get(keyword), schema.where(keyword)
        target, _, fragment = reference.partition("#")
        base = _joined(schema.base, target) if target else schema.base
        root = self._document(base)
        if root is None:
            raise UnsupportedSchemaError(f"{reference!r} leads out of the schema", keyword, where)
        fragment = unquote(fragment)
        if fragment[:1] not in ("", "/"):
            found = self._anchors.get((base, fragment))
        else:
            found = self._at(root, fragment, base)
        if found is None:
            raise GrammarError(f"`{keyword}` at {where!r}: {reference!r} names no schema")
        return found

    def resolve_dynamic(self, schema: Schema) -> Schema:
        """What the dynamic or recursive reference of `schema` leads to.

        Raises
        ------
        UnsupportedSchemaError : several schemas are called so, and which one is meant depends on
            the way to the reference
        """
        keyword = "$dynamicRef" if schema.draft == LATEST else "$recursiveRef"
        name = schema.get(keyword).rpartition("#")[2] or "#"
        if self._dynamic.get(name, 0) > (1 if keyword == "$dynamicRef" else 0):
            raise UnsupportedSchemaError(
                "supported where one schema is called so only", keyword, schema.where(keyword)
            )
        return self.resolve(schema, keyword)

    def _document(self, base: str) -> Any:
        """The schema with the name `base`, or None."""
        if base not in self._resources:
            resource = _registered(self._registry, base)
            if resource is None:
                return None
            self._read(resource, f"{base}#", _draft(resource, LATEST), base)
        return self._resources[base]

    def _at(self, root: Any, fragment: str, base: str) -> Schema | None:
        """The schema at a JSON pointer into `root`, also where no keyword leads to it."""
        value, near = root, root
        for token in fragment.split("/")[1:]:
            token = token.replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict) and token in value:
                value = value[token]
            elif isinstance(value, list) and _INDEX.fullmatch(token) and int(token) < len(value):
                value = value[int(token)]
            else:
                return None
            near = value if id(value) in self._places else near
        if not isinstance(value, dict | bool):
            return None
        if isinstance(value, dict) and id(value) not in self._places:
            around = self.place(near)
            outside = around.pointer.partition("#")[0] + "#" if "#" in around.pointer else ""
            self._read(value, outside + fragment, around.draft, around.base)
        return self.place(value)


_INDEX = re.compile("0|[1-9][0-9]{0,9}")  # of an array, in a JSON pointer
_INSIDE = frozenset([Form.SCHEMA, Form.SCHEMAS, Form.SCHEMA_MAP, Form.ITEMS, Form.DEPENDENCIES])


def _schemas_inside(form: Form, value: Any, pointer: str) -> Iterator[tuple[Any, str]]:
    """The schemas in the value of a keyword at `pointer`, with their own pointers."""
    if isinstance(value, list):
        for index, part in enumerate(value):
            yield part, f"{pointer}/{index}"
    elif form in (Form.SCHEMA_MAP, Form.DEPENDENCIES):
        for name, part in value.items():
            if not (isinstance(part, list) and form is Form.DEPENDENCIES):
                yield part, f"{pointer}/{escape(name)}"
    else:
        yield value, pointer


def _joined(base: str, reference: str) -> str:
    """The URI, without a fragment, that `reference` is from `base` on."""
    try:
        return urldefrag(urljoin(base, reference)).url
    except ValueError as error:  # a host in brackets that is no address, and the like
        raise GrammarError(f"{shown(reference)} is not a URI reference: {error}") from error


def _draft(schema: Any, default: int) -> int:
    """The draft that ``$schema`` names, or `default`."""
    dialect = schema.get("$schema") if isinstance(schema, Mapping) else None
    if not isinstance(dialect, str):
        return default
    name = dialect.rstrip("#").removeprefix("https://").removeprefix("http://")
    if name not in _DRAFTS:
        raise UnsupportedSchemaError(f"unknown dialect {dialect!r}", "$schema", "/$schema")
    return _DRAFTS[name]


def _registered(registry: Any, base: str) -> Any:
    """The contents of the document `base` in `registry` or among the meta-schemas, or None."""
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

    for known in (registry, REGISTRY):
        for name in (base, f"{base}#"):
            if known is not None and name in known:
                return known[name].contents
    return None
