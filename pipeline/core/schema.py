"""JSON Schema (draft 2020-12) of what `plain` makes of a record, read off its types and the words below its fields.

Nothing is declared twice: a field that changes its type changes the schema.
"""

import ast
import dataclasses
import inspect
import textwrap
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]
_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """How a record stands in a document otherwise than in its own file."""

    without: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    """Types by name of what is added, or put in the place of a field."""


class Schemas:
    """Schemas of types; those of records and typed dicts stand once in `definitions`."""

    def __init__(self, changes: Mapping[type, Change]) -> None:
        self.changes = changes
        self.definitions: dict[str, Schema] = {}

    def of(self, kind: Any) -> Schema:
        """Return the schema of a type."""
        if kind is Any or kind is object:
            return {}
        if kind in _SCALARS:
            return {"type": _SCALARS[kind]}
        if dataclasses.is_dataclass(kind) or is_typeddict(kind):
            return self._reference(kind)
        origin, inner = get_origin(kind), get_args(kind)
        if origin is Literal:
            return {"const": inner[0]} if len(inner) == 1 else {"enum": list(inner)}
        if origin in (Union, types.UnionType):
            return self._union(inner)
        if origin is tuple and inner[-1] is not Ellipsis:
            size = len(inner)
            return {
                "type": "array",
                "prefixItems": [self.of(part) for part in inner],
                "minItems": size,
                "maxItems": size,
            }
        if origin in (tuple, list):
            return {"type": "array", "items": self.of(inner[0])}
        if isinstance(origin, type) and issubclass(origin, Mapping):
            named = get_origin(inner[0]) is Literal
            return {"type": "object", "additionalProperties": self.of(inner[1])} | (
                {"propertyNames": self.of(inner[0])} if named else {}
            )
        raise TypeError(f"no schema of {kind!r}")

    def _union(self, kinds: tuple[Any, ...]) -> Schema:
        found = [self.of(kind) for kind in kinds]
        if all(set(schema) == {"type"} for schema in found):
            return {"type": [schema["type"] for schema in found]}
        return {"anyOf": found}

    def _reference(self, kind: Any) -> Schema:
        name = str(kind.__name__)
        if name not in self.definitions:
            self.definitions[name] = {}  # a record may hold records of its own kind
            self.definitions[name] = self._record(kind)
        return {"$ref": f"#/$defs/{name}"}

    def _record(self, kind: Any) -> Schema:
        change = self.changes.get(kind, Change())
        hints = {name: hint for name, hint in get_type_hints(kind).items() if name not in change.without}
        words = field_words(kind)
        properties = {
            name: self.of(hint) | ({"description": words[name]} if name in words and name not in change.more else {})
            for name, hint in (hints | dict(change.more)).items()
        }
        required = [name for name in properties if name in change.more or name not in _optional(kind)]
        found: Schema = {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }
        about = inspect.cleandoc(kind.__doc__ or "")
        return {"description": about, **found} if about else found


def _optional(kind: Any) -> frozenset[str]:
    return frozenset(getattr(kind, "__optional_keys__", ()))


@cache
def field_words(kind: type) -> Mapping[str, str]:
    """Return what stands below each field of a class, as one line."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    return {
        before.target.id: " ".join(after.value.value.split())
        for before, after in pairwise(tree.body)
        if isinstance(before, ast.AnnAssign)
        and isinstance(before.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
    }
