"""Checks that several doors make, and the words they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from kiln.calls.sessions import PREFIX, Session
from kiln.declare.errors import MissingParameter
from kiln.declare.products import Product
from kiln.wire.doors.door import Credentials, Format, RawRequest
from kiln.wire.doors.parameters import find
from kiln.wire.errors import (
    InvalidAccessKeyIdInactive,
    InvalidAccessKeyIdNotFound,
    InvalidParameterFormat,
    InvalidProductNotFound,
    InvalidSecurityTokenExpired,
    InvalidSecurityTokenMalformed,
    InvalidSecurityTokenMismatchWithAccessKey,
    InvalidVersion,
    MissingSecurityToken,
    UnsupportedHTTPMethod,
)
from kiln.wire.key import Key

#: What proves a request, or says how it wants its answer: nothing that an operation should see or a log should keep.
_CEREMONY = frozenset({
    "AccessKeyId",
    "AccessKeySecret",
    "Action",
    "Format",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureType",
    "SignatureVersion",
    "Timestamp",
    "Version",
})  # fmt: skip


def check_method(request: RawRequest) -> None:
    if request.method not in {"GET", "POST"}:
        raise UnsupportedHTTPMethod


def named(products: tuple[Product, ...], name: str | None) -> tuple[Product, ...]:
    """Those of *products* that have that name in any case; all without one. Raises InvalidProductNotFound."""
    found = products if name is None else tuple(one for one in products if one.name.lower() == name.lower())
    if not found:
        raise InvalidProductNotFound
    return found


def of_version(products: tuple[Product, ...], version: str) -> Product:
    """The one of *products* that has *version*. Raises InvalidVersion."""
    for product in products:
        if product.version == version:
            return product
    raise InvalidVersion


def signer(credentials: Credentials, key_id: str, token: str | None, now: float) -> Key:
    """The key of that ID, which may sign at *now*; of one that is for a while, its *token* says so.

    An empty token is what several clients send when they have none. Raises what is wrong with either.
    """
    if not token:
        if key_id.startswith(PREFIX):
            raise MissingSecurityToken
        return active(credentials.access_key(key_id))
    key = credentials.session(token)
    if key is None or key.session is None:
        raise InvalidSecurityTokenMalformed
    if key.id != key_id:
        raise InvalidSecurityTokenMismatchWithAccessKey
    if key.session.expires_at <= now:
        raise InvalidSecurityTokenExpired
    if active(holder(credentials, key.session)).account_id != key.account_id:
        raise InvalidSecurityTokenMalformed
    return key


def holder(credentials: Credentials, session: Session) -> Key | None:
    """Whose the session is: the AccessKey or app that took the role, or the instance that has it; None: it is gone."""
    if session.instance:
        return credentials.instance(session.instance, session.instance_role)
    return credentials.access_key(session.parent) or credentials.app(session.parent)


def demand(params: Mapping[str, str], name: str) -> str:
    """The value of *name*; raises MissingParameter when it is absent or empty."""
    value = params.get(name)
    if not value:
        raise MissingParameter(parameter=name)
    return value


def demand_header(request: RawRequest, name: str) -> str:
    """The value of the header *name*, spelled as people know it; raises MissingParameter likewise."""
    value = request.fields.get(name.lower())
    if not value:
        raise MissingParameter(parameter=name)
    return value


def active(key: Key | None) -> Key:
    """*key*, when there is one and it is switched on."""
    if key is None:
        raise InvalidAccessKeyIdNotFound
    if not key.active:
        raise InvalidAccessKeyIdInactive
    return key


def answer_format(text: str | None, default: Format) -> Format:
    """What Format asks for; raises InvalidParameterFormat for anything but JSON and XML in any case."""
    if not text:
        return default
    upper = text.upper()
    if upper not in {"JSON", "XML"}:
        raise InvalidParameterFormat
    return cast("Format", upper)


def refusal_format(request: RawRequest, default: Format) -> Format:
    """What a refused request asks for, as far as that can be read; never an error."""
    try:
        return answer_format(find(request, "Format"), default)
    except InvalidParameterFormat:
        return default


def without_ceremony(given: Mapping[str, str]) -> dict[str, str]:
    """What is left for the operation."""
    return {name: value for name, value in given.items() if name not in _CEREMONY}
