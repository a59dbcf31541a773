"""Writes src/kiln/client/catalogue.json: every declaration of every operation, as data.

The client, the command line and the console read the catalogue instead of the
code, and a change of the public API shows as a change of one file. With
``--check`` nothing is written; the exit code is 1 when the file is stale.
What is at its default is left out, to keep the file small.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kiln.declare import errors as declared_errors
from kiln.declare.errors import ApiError, DryRunOperation
from kiln.declare.operation import Operation
from kiln.declare.products import PRODUCTS, Product
from kiln.declare.rules import Between, JsonList, OneOf
from kiln.declare.shapes import Field, JsonObject, fields_of
from kiln.operations import ALL
from kiln.upkeep.duties import LATER
from kiln.wire import errors as gateway_errors
from kiln.wire.dispatch import errors_of

ROOT = Path(__file__).resolve().parent.parent
PATH = ROOT / "src/kiln/client/catalogue.json"

LINE = 120
TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", JsonObject: "object"}


def build(
    operations: Sequence[Operation[Any, Any, Any]] = ALL, products: Sequence[Product] = PRODUCTS
) -> dict[str, Any]:
    """The catalogue of *operations*, which are of *products*."""
    names: dict[type[ApiError], str] = {}
    gateway = [_name(error, names) for error in _common_errors()]
    later = [_name(error, names) for error in LATER]
    described = [
        {
            "name": product.name,
            "version": product.version,
            "operations": {one.name: _operation(one, names) for one in operations if one.product == product},
        }
        for product in products
    ]
    errors = {name: _error(error) for error, name in names.items()}
    return {
        "products": described,
        "gateway": gateway,
        "later": later,
        "errors": dict(sorted(errors.items())),
    }


def to_text(value: Any, indent: int = 0) -> str:
    """The catalogue as it is committed: JSON in which all that fits into a line stands on one."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(flat) + indent < LINE:
        return flat
    space = " " * (indent + 1)
    if isinstance(value, list):
        inner = [space + to_text(part, indent + 1) for part in value]
    else:
        inner = [f"{space}{json.dumps(name)}: {to_text(part, indent + 1)}" for name, part in value.items()]
    opening, closing = flat[0], flat[-1]
    return opening + "\n" + ",\n".join(inner) + "\n" + " " * indent + closing


def _name(error: type[ApiError], names: dict[type[ApiError], str]) -> str:
    """What the catalogue calls *error*: its class's name, told apart where two files use one name."""
    if error not in names:
        name = error.__name__
        if name in names.values():
            name += " of " + error.__module__.rpartition(".")[2]
        names[error] = name
    return names[error]


def _common_errors() -> list[type[ApiError]]:
    """What any operation may answer with, in the order in which it is declared."""
    found = [*_errors_in(declared_errors), *_errors_in(gateway_errors)]
    found.remove(DryRunOperation)
    return found


def _errors_in(module: Any) -> Iterable[type[ApiError]]:
    for value in vars(module).values():
        is_error = inspect.isclass(value) and issubclass(value, ApiError) and value is not ApiError
        if is_error and value.__module__ == module.__name__:
            yield value


def _operation(operation: Operation[Any, Any, Any], names: dict[type[ApiError], str]) -> dict[str, Any]:
    summary, _, rest = operation.doc.partition("\n")
    return _without_defaults(
        {
            "group": operation.group,
            "summary": summary,
            "doc": rest.strip(),
            "is_read": operation.is_read,
            "is_idempotent": operation.idempotent is not None,
            "dry_run": "" if operation.dry_run is None else operation.dry_run.code,
            "leads_to": list(operation.leads_to),
            "also_in": [product.name for product in operation.also_in],
            "parameters": [_parameter(field) for field in operation.parameters],
            "answer": [_answer(field) for field in fields_of(operation.output)],
            "errors": [_name(error, names) for error in errors_of(operation)],
        }
    )


def _parameter(field: Field) -> dict[str, Any]:
    choices = next((rule.choices for rule in field.rules if isinstance(rule, OneOf)), ())
    limits = next((rule for rule in field.rules if isinstance(rule, Between)), None)
    return _without_defaults(
        {
            "name": field.wire,
            "type": _type(field),
            "is_required": field.required,
            "is_repeated": field.repeated,
            "packed": "" if field.packed is None else "json" if field.packed is JsonList else "comma",
            "count": None if field.count is None else field.count.most,
            "default": _default(field),
            "rules": [rule.in_words() for rule in field.rules],
            "choices": list(choices),
            "least": None if limits is None else limits.least,
            "most": None if limits is None else limits.most,
            "aliases": list(field.aliases),
            "example": field.example,
            "no_effect": field.accepted,
            "is_secret": field.is_secret,
            "doc": field.doc,
            "parts": [_parameter(part) for part in fields_of(field.kind)] if field.is_shape else [],
        }
    )


def _answer(field: Field) -> dict[str, Any]:
    return _without_defaults(
        {
            "name": field.wire,
            "type": _type(field),
            "is_repeated": field.repeated,
            "is_secret": field.is_secret,
            "example": field.example,
            "doc": field.doc,
            "parts": [_answer(part) for part in fields_of(field.kind)] if field.is_shape else [],
        }
    )


def _error(error: type[ApiError]) -> dict[str, Any]:
    when = " ".join(inspect.cleandoc(error.__doc__ or "").partition("\n\n")[0].split())
    return _without_defaults(
        {"code": error.code, "status": error.status, "message": error.message, "when": when, "hint": error.hint}
    )


def _default(field: Field) -> str:
    """The default as the wire would spell it."""
    if field.is_shape or field.default is None or isinstance(field.default, tuple):
        return ""
    return str(field.default).lower() if field.kind is bool else str(field.default)


def _type(field: Field) -> str:
    return "object" if field.is_shape else TYPES[field.kind]


def _without_defaults(described: dict[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in described.items() if v is not None and v is not False and v not in ("", [])}


def main(arguments: list[str]) -> int:
    """Write the catalogue, or check that it is as it would be written; return the exit code."""
    text = to_text(build()) + "\n"
    if arguments == ["--check"]:
        if PATH.is_file() and PATH.read_text() == text:
            return 0
        print(f"{PATH.relative_to(ROOT)} is stale: run tools/catalogue.py")
        return 1
    PATH.parent.mkdir(parents=True, exist_ok=True)
    PATH.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
