"""Lays what a request says over what something stored says, parameter by parameter.

A launch template says what a request leaves out. What the request says wins, in
whatever spelling it came: a value or a list in place of the stored one, and of
an object such as ``SystemDisk`` each part by itself. An empty value says
nothing, as everywhere; an empty list, which only JSON can spell, says that
there is to be none.
"""

from __future__ import annotations

from collections.abc import Mapping

from kiln.declare.shapes import Field, fields_of
from kiln.wire.spellings import Gathered, Sent, opened


def laid_over(shape: type, upper: Gathered, lower: Mapping[str, Sent], under: str = "") -> Gathered:
    """What came for the fields of *shape*, and for those for which nothing came what is in *lower*.

    *under* is what the names of the fields begin with. Raises InvalidParameter for what is no object and should be one.
    """
    sent = dict(upper.sent)
    for field in fields_of(shape):
        below = lower.get(field.wire)
        if below is None:
            continue
        said = {name: sent[name] for name in (field.wire, *field.aliases) if name in sent and _says(field, sent[name])}
        if not said:
            for name in field.aliases:
                sent.pop(name, None)
            sent[field.wire] = below
        elif field.is_shape and not field.repeated:
            for name, node in said.items():
                sent[name] = _merged(field, node, below, under + field.wire)
    return Gathered(sent, upper.strays)


def _merged(field: Field, node: Sent, below: Sent, key: str) -> Sent:
    apart = opened(field, node, key)
    merged = Sent(node.key)
    merged.parts = dict(laid_over(field.kind, Gathered(apart.parts, {}), below.parts, f"{key}.").sent)
    return merged


def _says(field: Field, node: Sent) -> bool:
    return not node.is_blank or (field.keeps_empty and node.text is not None)
