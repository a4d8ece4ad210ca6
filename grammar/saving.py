"""Compiled grammars in files: what they were made of, for one vocabulary.

A grammar learns masks while texts are followed. Those are not kept: to compile what is kept takes a
few milliseconds, as reading them would. What a file gives is certainty: the grammar that comes back
is the one that was saved, or there is an error.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from sampler.errors import GrammarError
from sampler.grammar.schema.options import SchemaOptions

_FORMAT, _VERSION = "token-sampler grammar", 1
_FIELDS = frozenset(["format", "version", "vocabulary", "kind", "source", "options", "digest"])


class Origin(NamedTuple):
    """What a grammar was compiled from.

    Attributes
    ----------
    kind : "json_schema" or "regex"
    source : the schema as canonical JSON, or the pattern
    options : of a schema; None of a pattern
    """

    kind: str
    source: str
    options: SchemaOptions | None = None


def write_grammar(path: str | os.PathLike[str], origin: Origin, vocabulary: str) -> None:
    """None; writes the file `path`, whole or not at all. `vocabulary` is a digest of its tokens."""
    options = None
    if origin.options is not None:
        options = asdict(replace(origin.options, registry=None))
        options["registry"] = origin.options.registry is not None
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "vocabulary": vocabulary,
        "kind": origin.kind,
        "source": origin.source,
        "options": options,
    }
    target = Path(path)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({**content, "digest": _digest(content)}, file)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_grammar(path: str | os.PathLike[str], vocabulary: str, registry: object) -> Origin:
    """What the grammar in the file `path` was compiled from.

    Raises
    ------
    GrammarError : no such file, damaged, of another version or another vocabulary; or one that was
        compiled with a registry, and there is none
    """
    try:
        content = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise GrammarError(f"{os.fspath(path)!r} has no grammar: {error}") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise GrammarError(f"{os.fspath(path)!r} has no grammar")
    if content.get("version") != _VERSION:
        raise GrammarError(
            f"`version` of a saved grammar must be {_VERSION}. Given: {content.get('version')!r}"
        )
    digest = content.pop("digest", None)
    if content.keys() != _FIELDS - {"digest"} or digest != _digest(content):
        raise GrammarError(f"the grammar in {os.fspath(path)!r} is damaged")
    if content["vocabulary"] != vocabulary:
        raise GrammarError(f"the grammar in {os.fspath(path)!r} is of another vocabulary")
    options = content["options"]
    if options is not None:
        if options["registry"] and registry is None:
            raise GrammarError(f"the grammar in {os.fspath(path)!r} needs its `registry`")
        options["registry"] = registry if options["registry"] else None
        options = SchemaOptions(**options)
    return Origin(content["kind"], content["source"], options)


def _digest(content: Mapping[str, Any]) -> str:
    written = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()
