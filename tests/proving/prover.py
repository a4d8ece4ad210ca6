"""Proofs that masks are wrong: valid texts they forbid, invalid ones they take to the end.

From the valid instances of a schema come texts in many spellings, mutants, texts with repeated keys
and broken ones. An oracle labels each text; the masks must agree.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

import jsonschema

from proving.feeding import Feeder
from proving.mutation import Mutator, broken, places, with_repeated_key
from proving.oracle import Oracle, read
from proving.spelling import SPACED, STYLES, write
from sampler.errors import GrammarError, GrammarLimitError

FREE = {"spelling": "free", "property_order": "any"}
_STRUCTURE = {"properties", "$defs", "definitions", "patternProperties", "enum", "const", "default"}


class Fault(NamedTuple):
    """A proof against the masks."""

    kind: str  # "over", "under" or "limit"
    schema: str
    spelling: str
    why: str
    text: str


@dataclass
class Tally:
    """What was tried and what was found.

    Attributes
    ----------
    texts : by ("valid" or "invalid", class), where the class is "spelling ..." or "keyword ..."
    wrong : the same of those that the masks are wrong about
    totals : schemas, texts and loose texts
    faults : the proofs
    """

    texts: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: Counter[tuple[str, str]] = field(default_factory=Counter)
    totals: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)

    def note(self, label: str, classes: list[str], fault: Fault | None) -> None:
        """None; counts one text under all of its classes."""
        keys = [(label, name) for name in dict.fromkeys(classes)]
        self.texts.update(keys)
        self.totals[label] += 1
        if fault is not None:
            self.wrong.update(keys)
            self.totals[fault.kind] += 1
            self.faults.append(fault)

    def table(self) -> str:
        """Counts by class, as lines of text."""
        names = sorted({name for _, name in self.texts})
        lines = [f"{'':44} {'valid':>7} {'forbidden':>9} {'invalid':>8} {'taken':>6}"]
        for name in names:
            valid, invalid = ("valid", name), ("invalid", name)
            lines.append(
                f"{name[:44]:44} {self.texts[valid]:7} {self.wrong[valid]:9}"
                f" {self.texts[invalid]:8} {self.wrong[invalid]:6}"
            )
        return "\n".join([*lines, *(f"{name}: {n}" for name, n in sorted(self.totals.items()))])


@dataclass(frozen=True)
class Effort:
    """How many texts are made of each instance, and how long the instances are."""

    respellings: int = 6
    mutants: int = 10
    damaged: int = 2
    longest: int = 2000  # characters


class Prover:
    """Tries schemas one after another and keeps the tally."""

    def __init__(self, compiler: Any, vocabulary: Any, effort: Effort) -> None:
        self._compiler = compiler
        self._feeder = Feeder(vocabulary)
        self._effort = effort
        self.tally = Tally()

    def try_schema(self, name: str, schema: Any, tests: list[dict[str, Any]]) -> None:
        """None; `tests` are labelled instances, as MaskBench has them."""
        totals, choice = self.tally.totals, Random(name)
        try:
            free = self._compiler.compile_json_schema(schema, **FREE)
            default = self._compiler.compile_json_schema(schema)
        except GrammarError as error:
            totals["schemas refused"] += 1
            totals[f"schemas refused: {type(error).__name__}"] += 1
            return
        try:
            oracle = Oracle(schema)
        except jsonschema.SchemaError:
            totals["schemas that are none to the oracle"] += 1
            return
        totals["schemas"] += 1
        self._case = _Case(name, oracle, free, default, sorted(keywords_of(schema)), choice)
        try:
            self._try_instances(schema, tests)
        except GrammarLimitError as error:
            totals["schemas that reach a limit"] += 1
            self.tally.faults.append(Fault("limit", name, "", "", str(error)))

    def _try_instances(self, schema: Any, tests: list[dict[str, Any]]) -> None:
        totals, case, values = self.tally.totals, self._case, []
        for test in tests:
            text = json.dumps(test["data"], ensure_ascii=False)
            verdict = case.oracle.judge(text)
            if verdict.label not in ("loose", "valid" if test["valid"] else "invalid"):
                totals["instances that the oracle labels otherwise"] += 1
            elif len(text) <= self._effort.longest:
                self._try(text, "as json.dumps writes")
                if test["valid"]:
                    values.append(read(text))
        mutator = Mutator(schema, values, case.choice)
        for value in values:
            self._try_value(value, mutator)

    def _try_value(self, value: Any, mutator: Mutator) -> None:
        effort, choice = self._effort, self._case.choice
        for style in choice.sample(list(STYLES), min(effort.respellings, len(STYLES))):
            self._try(write(value, STYLES[style], choice), style)
        for _ in range(effort.mutants):
            what, mutant = mutator.mutated(value)
            style = choice.choice([*["compact", "spaced"] * 3, *STYLES])
            self._try(write(mutant, STYLES[style], choice), style, what)
        for _ in range(effort.damaged):
            text = write(value, SPACED, choice)
            self._try(broken(text, choice), "damaged")
            style = choice.choice([STYLES["compact"], SPACED, STYLES["shuffled properties"]])
            repeated = with_repeated_key(value, style, choice)
            if repeated is not None:
                self._try(repeated, "repeated key")

    def _try(self, text: str, spelling: str, change: str = "") -> None:
        """None; labels one text and feeds it."""
        tally, case = self.tally, self._case
        verdict = case.oracle.judge(text)
        if verdict.label == "loose":
            tally.totals["loose"] += 1
            tally.totals[f"loose: {verdict.why}"] += 1
            return
        try:
            data = text.encode()
        except UnicodeEncodeError:
            tally.totals["texts with lone surrogates"] += 1
            return
        way = case.choice.choice(["longest tokens", "single bytes", "drawn tokens"])
        ids = {
            "longest tokens": self._feeder.longest,
            "single bytes": self._feeder.bytewise,
            "drawn tokens": lambda data: self._feeder.drawn(data, case.choice),
        }[way](data)
        classes = [f"spelling {spelling}", f"tokens {way}"]
        classes += [f"mutant {change}"] if change else []
        is_free = self._feeder.takes(case.free, ids)
        if verdict.label == "valid":
            classes += [f"keyword {keyword}" for keyword in case.keywords]
            fault = None if is_free else Fault("over", case.name, spelling, change, text)
            tally.note("valid", classes, fault)
        else:
            classes.append(f"keyword {verdict.why}")
            is_default = self._feeder.takes(case.default, ids)
            fault = Fault("under", case.name, spelling, verdict.why, text)
            tally.note("invalid", classes, fault if is_free or is_default else None)


class _Case(NamedTuple):
    """What belongs to the schema that is tried."""

    name: str
    oracle: Oracle
    free: Any
    default: Any
    keywords: list[str]
    choice: Random


def keywords_of(schema: Any) -> set[str]:
    """The keywords that a schema uses, found by name: those of no effect too."""
    known = set(jsonschema.Draft202012Validator.VALIDATORS)
    known |= set(jsonschema.Draft4Validator.VALIDATORS)
    found: set[str] = set()
    for path, part in places(schema):
        if isinstance(part, dict) and (not path or path[-1] not in _STRUCTURE):
            found |= known & set(part)
    return found
