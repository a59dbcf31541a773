"""Parameters spelled in every way that somebody may think of: understood or refused, never dropped.

Every try takes a parameter that an operation declares, spells what is to be
said in another way, and looks at what the operation would be handed. Less than
was meant, without a word, is what is looked for.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from random import Random
from typing import Any

from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.operations import ALL
from kiln.wire.decode import decode
from kiln.wire.doors import choose
from kiln.wire.nonces import MemoryNonces
from tests.fuzz.requests import WAYS
from tests.fuzz.target import OneAccount
from tests.samples import Place as Parameter
from tests.samples import least, places, siblings
from torment.campaign import Outcome, Place, Verdict

_NOW = 1_795_000_000.0


def run(place: Place) -> Iterator[Outcome]:
    """See the module."""
    nonces = MemoryNonces()
    members = [(operation, parameter) for operation in ALL for parameter in places(operation)]
    structured = [
        (operation, parameter)
        for operation, parameter in members
        if parameter.shape is operation.input
        and (parameter.under or parameter.field.repeated or parameter.field.packed)
    ]
    for _ in range(place.tries):
        operation, parameter = place.chance.choice(structured)
        yield _try(operation, parameter, place.chance, nonces)


def _try(operation: Operation[Any, Any, Any], parameter: Parameter, chance: Random, nonces: MemoryNonces) -> Outcome:
    plain = least(operation.input)
    value = parameter.field.example or "1"
    right = plain | siblings(parameter) | {parameter.name: value}
    head = parameter.name.partition(".")[0]
    without = {name: text for name, text in plain.items() if name.partition(".")[0] != head}
    spelled = _spell(parameter.name, {n: v for n, v in right.items() if n.partition(".")[0] == head}, chance)
    way = chance.choice(WAYS)
    subject = f"{way.__name__} {operation.name} {spelled}"
    try:
        try:
            meant = decode(operation.input, right)
        except ApiError:
            return Outcome(subject)  # The sample is none of those that the operation takes; other tests see to that.
        request = way(operation.name, without | spelled, _NOW)
        admitted = choose(request).admit(request, OneAccount(), nonces, _NOW)
        got = decode(operation.input, admitted.params)
    except ApiError:
        return Outcome(subject)
    except Exception:  # noqa: BLE001 - anything but a refusal is what is looked for.
        return Outcome(subject, Verdict.FAILED, traceback.format_exc(limit=-2).replace("\n", " | "))
    if got == meant:
        return Outcome(subject)
    try:
        nothing = decode(operation.input, without)
    except ApiError:
        nothing = None
    if got == nothing:
        return Outcome(subject, Verdict.ACCEPTED, f"as if {parameter.name} had not been sent")
    return Outcome(subject)


def _spell(name: str, said: dict[str, str], chance: Random) -> dict[str, str]:
    """What *said* says, in another way."""
    head = name.partition(".")[0]
    nested = _nested(said)
    first = next(iter(said.values()))
    inner = nested[0] if isinstance(nested, list) and nested else nested
    return chance.choice(
        [
            {head: json.dumps(nested)},
            {head: first},
            {f"{head}.1": json.dumps(inner)},
            {f"{head}.1": first},
            {key.replace(".1", "[0]"): value for key, value in said.items()},
            {key.replace(".1", "[1]"): value for key, value in said.items()},
            {key.replace(".1", ".01"): value for key, value in said.items()},
            {_swapped(key, chance): value for key, value in said.items()},
        ]
    )


def _nested(said: dict[str, str]) -> object:
    """Flat names as objects and lists: ``Tag.1.Key`` is in ``[{"Key": ...}]``."""
    found: dict[str, object] = {}
    for name, value in said.items():
        _, *parts = name.split(".")
        place = found
        for part in parts[:-1]:
            place = place.setdefault(part, {})  # type: ignore[assignment]
        if parts:
            place[parts[-1]] = value
        else:
            return [value]
    return _listed(found)


def _listed(value: object) -> object:
    if not isinstance(value, dict):
        return value
    parts = {name: _listed(part) for name, part in value.items()}
    return list(parts.values()) if parts and all(name.isdecimal() for name in parts) else parts


def _swapped(name: str, chance: Random) -> str:
    """The name with an inner part in another case, or with another sign between its parts."""
    head, _, rest = name.partition(".")
    return chance.choice(
        [f"{head}.{rest.lower()}", f"{head}_{rest}", f"{head}..{rest}", f"{head}.{rest}.", f"{head}-{rest}"]
    )
