"""What may be told of a request and its answer to others than the caller: all that is declared, but for secrets.

Which fields are secret the operation declares, and nobody names them here. What no operation declares is left out:
nobody knows what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.shapes import Field, fields_of

MASK = "******"  #: In place of a secret.
CUT = "…"  #: Ends what was cut off.

_LONGEST = 1024  #: Letters of a value.
_MOST = 8192  #: Letters of all names and values.
_MOST_KNOWN = 1000  #: Names of which it is kept what may be told; who calls can make up others without end.
_LEAST_FOUND = 4  #: Letters of a secret that is looked for in a text: fewer are in any.


class Telling:
    """What may be told of the requests of one operation. Kept, since it is asked at each request."""

    def __init__(self, operation: Operation[Any, Any, Any]) -> None:
        self._heads = {name: field for field in operation.parameters for name in (field.wire, *field.aliases)}
        self._secret_heads = frozenset(name for name, field in self._heads.items() if _holds_secret(field))
        self._known: dict[str, bool | None] = {}
        self._output = operation.output if any(map(_holds_secret, fields_of(operation.output))) else None

    def request(self, params: Mapping[str, str]) -> dict[str, str]:
        """The declared ones of *params*, secrets masked; values, and all together, are cut off where they are long."""
        told: dict[str, str] = {}
        room = _MOST
        known = self._known
        for name, value in params.items():
            is_secret = known[name] if name in known else self._is_secret(name)
            if is_secret is None:
                continue
            shown = value if len(value) <= _LONGEST else value[:_LONGEST] + CUT
            if is_secret and value:
                shown = MASK
            room -= len(name) + len(shown)
            if room < 0:
                told[CUT] = CUT
                break
            told[name] = shown
        return told

    def answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The answer, secrets masked."""
        return answer if self._output is None else _masked(self._output, answer)

    def without_secrets(self, text: str, params: Mapping[str, str]) -> str:
        """*text*, which may repeat what was sent, with the secrets in *params* masked; cut off where it is long."""
        for name, value in params.items():
            if len(value) >= _LEAST_FOUND and self._is_secret(name):
                text = text.replace(value, MASK)
        return text if len(text) <= _LONGEST else text[:_LONGEST] + CUT

    def _is_secret(self, name: str) -> bool | None:
        """Whether what a parameter of that name has is to be masked; None where nothing may be told of it."""
        head, _, rest = name.partition(".")
        found = None
        if head in self._heads:
            found = head in self._secret_heads and _is_secret(self._heads[head], rest)
        if len(self._known) < _MOST_KNOWN:
            self._known[name] = found
        return found


def _holds_secret(field: Field) -> bool:
    """Whether the field is a secret, or something in it is."""
    return field.is_secret or (field.is_shape and any(map(_holds_secret, fields_of(field.kind))))


def _is_secret(field: Field, rest: str) -> bool:
    """Whether what stands under the name that goes on with *rest* in a *field* that holds secrets is to be masked.

    What is packed into one text, and what is spelled as nothing there is, is masked as a whole.
    """
    for word in rest.split("."):
        if field.is_secret:
            return True
        if word and not word.isdigit():
            if not field.is_shape:
                return True
            part = next((one for one in fields_of(field.kind) if word in (one.wire, *one.aliases)), None)
            if part is None:
                return True
            field = part
    return _holds_secret(field)


def _masked(output: type, answer: dict[str, Any]) -> dict[str, Any]:
    fields = {field.wire: field for field in fields_of(output)}
    return {name: _masked_one(fields[name], value) for name, value in answer.items()}


def _masked_one(field: Field, value: Any) -> Any:
    if field.is_secret:
        return MASK
    if not field.is_shape:
        return value
    return [_masked(field.kind, one) for one in value] if field.repeated else _masked(field.kind, value)
