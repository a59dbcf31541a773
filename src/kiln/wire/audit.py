"""The audit: writes down each call that changes something, in the transaction of the change.

So there is no change without its line, and no line of what was rolled back. Calls
that were refused change nothing, and are written some seconds later, those that
are alike as one (``refusals``). Reads and dry runs are not written down.

How a row is told: ``kiln.operations.audit.parts.events``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from kiln.calls.call import Ports
from kiln.calls.origin import Origin
from kiln.declare.errors import ApiError
from kiln.declare.ids import LETTERS, PREFIXES, new_request_id
from kiln.declare.metrics import AUDIT_CALLS
from kiln.declare.operation import Operation
from kiln.declare.products import ActionKey
from kiln.store import audit
from kiln.store.database import Transaction
from kiln.wire.encode import to_json
from kiln.wire.refusals import Refusals
from kiln.wire.telling import CUT, Telling

_LONGEST_NAME = 256  #: Letters of what a client calls itself, or this server.
_LONGEST_REGION = 64
_LONGEST_DETAIL = 16384  #: Bytes; of a longer one the answer is left out, then what was sent.
_MOST_RESOURCES = 200

#: In JSON, in which they are texts of their own, or in a list that is packed into one as JSON. No change takes a list
#: with commas: to look for those as well took three times as long. Of which sort each is, who draws the event knows.
_ids = re.compile(rf'"([a-z]{{1,3}}-[0-9a-z]{{{LETTERS}}})(?=["\\])').findall

#: Parameters that name a resource without an identifier, and the prefix of those that it has.
_NAMING = {"KeyPairName": PREFIXES["key_pair"]}


class Asked(Protocol):
    """A call."""

    @property
    def account(self) -> str: ...
    @property
    def key(self) -> ActionKey: ...
    @property
    def operation(self) -> Operation[Any, Any, Any]: ...
    @property
    def params(self) -> Mapping[str, str]: ...
    @property
    def origin(self) -> Origin: ...


class Audit:
    """See the module. Safe to use from any thread. With *is_on* false nothing is written down."""

    def __init__(self, ports: Ports, *, is_on: bool = True) -> None:
        self._ports = ports
        self._is_on = is_on
        self._tellings: dict[type, Telling] = {}
        self._refusals = Refusals()

    def record(self, tx: Transaction, asked: Asked, at: float, answer: dict[str, Any]) -> None:
        """Write down in *tx* that the call was answered with *answer*."""
        if self._is_on:
            told = self._telling(asked.operation).answer(answer)
            audit.write(tx, self._row(asked, at, {"a": told}, ""))
            tx.after_commit(_count)

    def refused(self, asked: Asked, at: float, error: ApiError) -> None:
        """Remember that the call was refused with *error*; ``write_refused`` writes it down."""
        if not self._is_on:
            return

        def tell() -> dict[str, Any]:
            words = self._telling(asked.operation).without_secrets(str(error), asked.params)
            return self._row(asked, at, {"m": words}, error.code)

        origin = asked.origin
        self._refusals.note(asked.account, (origin.access_key_id, origin.peer, asked.key, error.code), tell)

    def write_refused(self) -> int:
        """Write down the calls that were refused since the last time; returns how many rows that were."""
        rows = self._refusals.take()

        def write(tx: Transaction) -> None:
            for row in rows:
                audit.write(tx, row)

        if rows:
            try:
                self._ports.database.write(write)
            except BaseException:
                self._refusals.put_back(rows)
                raise
        return len(rows)

    def _telling(self, operation: Operation[Any, Any, Any]) -> Telling:
        found = self._tellings.get(operation.input)
        if found is None:
            found = self._tellings[operation.input] = Telling(operation)
        return found

    def _row(self, asked: Asked, at: float, detail: dict[str, Any], code: str) -> dict[str, Any]:
        """The columns of the row; *detail* is what is told of the outcome."""
        origin, params = asked.origin, self._telling(asked.operation).request(asked.params)
        detail["p"] = params
        named = asked.params.get("RegionId") or origin.region
        detail["r"] = named[:_LONGEST_REGION] if named else self._ports.deployment.regions[0]
        detail["s"] = origin.host[:_LONGEST_NAME]
        detail["i"] = origin.peer
        detail["u"] = origin.user_agent[:_LONGEST_NAME]
        caller = "root"
        if origin.is_tls:
            detail["t"] = True
        if origin.session is not None or origin.person:
            caller = _identify(asked.account, origin, detail)
        told = to_json(detail)
        for part in ("a", "p"):
            if len(told) > _LONGEST_DETAIL:
                detail[part] = {CUT: CUT}
                told = to_json(detail)
        text = told.decode()
        return {
            "account": asked.account,
            "at": at,
            "id": origin.request_id or new_request_id(),
            "service": asked.key.product.name,
            "name": asked.key.action,
            "caller": caller,
            "access_key": origin.access_key_id,
            "error": code,
            "resources": _resources(text, params),
            "detail": text,
        }


def _count() -> None:
    AUDIT_CALLS.add("written")


def _identify(account: str, origin: Origin, detail: dict[str, Any]) -> str:
    """The name of who called without being the account itself: a person with its app, or who has taken a role of it."""
    session = origin.session
    if session is None:
        detail |= {"k": "ram-user", "q": origin.person}
        return origin.person
    detail |= {"k": "assumed-role", "q": f"{session.role_id(account)}:{session.name}", "f": session.parent}
    return f"{session.role}:{session.name}"


def _resources(text: str, params: Mapping[str, str]) -> str:
    """What the call was about: all that is named in what was sent and answered."""
    words = _ids(text)
    for parameter, prefix in _NAMING.items():
        if parameter in params:
            words.append(f"{prefix}={params[parameter]}")
    return f" {' '.join(dict.fromkeys(words[-_MOST_RESOURCES:]))} "
