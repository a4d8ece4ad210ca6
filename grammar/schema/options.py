"""How the texts of a schema are written."""

from dataclasses import dataclass
from typing import Any, Literal

from sampler.errors import InvalidParameterError
from sampler.grammar.schema.layout import Layout


@dataclass(frozen=True, slots=True)
class SchemaOptions:
    """How texts are written, see `GrammarCompiler.compile_json_schema`.

    Attributes
    ----------
    whitespace : "any", "compact", "spaced" or an indent
    property_order : "schema" or "any"
    spelling : "canonical" or "free"
    formats : "assert" or "annotate"
    registry : a ``referencing.Registry`` of other documents, or None
    object_root : whether a root with ``properties`` and no ``type`` is read as an object
    """

    whitespace: Literal["any", "compact", "spaced"] | int = "any"
    property_order: str = "schema"
    spelling: str = "canonical"
    formats: str = "assert"
    registry: Any = None
    object_root: bool = False

    def check(self) -> None:
        """None; raises for options that do not exist or are not supported yet."""
        Layout(self.whitespace)
        for name, legal in (
            ("property_order", ("schema", "any")),
            ("spelling", ("canonical", "free")),
            ("formats", ("assert", "annotate")),
        ):
            if getattr(self, name) not in legal:
                raise InvalidParameterError(
                    f"`{name}` must be one of {', '.join(legal)}. Given: {getattr(self, name)!r}"
                )
        if self.registry is not None:
            from referencing import Registry

            if not isinstance(self.registry, Registry):
                raise InvalidParameterError(
                    "`registry` must be a referencing.Registry or None."
                    f" Given: {type(self.registry).__name__}"
                )
