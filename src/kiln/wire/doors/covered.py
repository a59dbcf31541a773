"""The one set of parameters that a signature of parameters covers, which is also the one that operations see.

RPC's signature covers names and texts, and nothing of how they came: in the
query or the body, in a form or as JSON. So names and texts are what is read,
and two requests that are signed alike mean the same. What version 2.1 makes of
the lists and objects of a JSON body (``Tag.1={"Key":"a"}``) is such a text;
operations read it as JSON, in whatever place it came.

That text escapes nothing, and says nothing of an empty list. Where it would not
read back as what the body holds, somebody on the way could have put the one in
place of the other: such a body is refused, with the spelling that would do.
Marks that JSON would have escaped are read where they can be (``given``).
"""

from __future__ import annotations

import json
from typing import Any

from kiln.ground.strict_json import has_too_many_parts
from kiln.wire.doors import parameters
from kiln.wire.doors.door import RawRequest
from kiln.wire.signatures import rpc


def of_body(request: RawRequest) -> dict[str, str]:
    """The body's parameters as a signature spells them."""
    if not parameters.is_json(request):
        return parameters.of_form(request.body)
    top = parameters.json_object(request.body)
    for name, value in top.items():
        _check(name, value)
    try:
        flat = rpc.flatten(top)
    except rpc.TwoValues as two:
        parameters.refuse(two.name, parameters.TWICE)
    if len(flat) > parameters.MOST:
        parameters.refuse("*", f"there are more than {parameters.MOST} parameters")
    for name, text in flat.items():
        parameters.check_text(name, text)
    return flat


def _check(name: str, value: Any) -> None:
    """Refuse what a signature would not tell from something else."""
    if isinstance(value, dict):
        _check_object(name, value)
    elif isinstance(value, list):
        if not value:
            parameters.refuse(name, 'the signature does not cover an empty list; send it as the text "[]"')
        for n, one in enumerate(value, 1):
            if isinstance(one, dict):
                _check_object(f"{name}.{n}", one)
            elif one is None or isinstance(one, list):
                parameters.refuse(f"{name}.{n}", "the signature does not cover null, or a list, in a list")


def _check_object(name: str, value: dict[str, Any]) -> None:
    for word, one in value.items():
        if one is None:
            parameters.refuse(f"{name}.{word}", "the signature does not cover null in an object; leave it out")
        if isinstance(one, dict | list):
            parameters.refuse(f"{name}.{word}", "the signature does not cover what is nested deeper; send it flat")
    texts = {word: one if isinstance(one, str) else str(one).lower() for word, one in value.items()}
    (signed,) = rpc.flatten({name: value}).values()
    told = given({name: signed})[name]
    if _read(told) != texts:
        parameters.refuse(name, "the signature does not tell quotes, backslashes and line breaks in it; send it flat")


def given(signed: dict[str, str]) -> dict[str, str]:
    """*signed* as operations read it: the text of an object in a list is made JSON where it lacks but the escapes.

    Of ``{"Key":"a"b"}`` only one object can have been meant, as long as ``","``
    and ``":"`` are taken for what parts its members.
    """
    objects = {name: text for name, text in signed.items() if text[:2] == '{"' and name.rpartition(".")[2].isdecimal()}
    mended = {name: _escaped(text) for name, text in objects.items() if _read(text) is None}
    return signed | mended if mended else signed


def _escaped(text: str) -> str:
    if not text.endswith('"}') or len(text) < len('{""}'):
        return text
    pairs = [member.partition('":"') for member in text[2:-2].split('","')]
    members = {word: one for word, colon, one in pairs if colon}
    return json.dumps(members, ensure_ascii=False) if len(members) == len(pairs) else text


def _read(text: str) -> Any:
    """What it is when it is any JSON at all; ``strict_json`` reads it when an operation wants it."""
    if has_too_many_parts(text):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
