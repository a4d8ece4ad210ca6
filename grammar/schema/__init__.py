"""JSON Schema in, the program of its JSON texts out."""

from sampler.grammar.schema.options import SchemaOptions
from sampler.grammar.schema.translate import Translation, translate_schema

__all__ = ["SchemaOptions", "Translation", "translate_schema"]
