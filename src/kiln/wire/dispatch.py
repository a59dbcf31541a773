"""One request in, one answer out. Every operation passes through here.

What is the same for all operations is done here and nowhere else: finding the
operation, decoding, the region, the transaction, ClientToken and DryRun.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import replace
from typing import Any, NamedTuple

from kiln.calls.call import NOWHERE, Call, Ports
from kiln.calls.origin import Origin
from kiln.calls.plane import VPC
from kiln.declare.errors import ApiError, InvalidParameter
from kiln.declare.operation import ClientTokenInput, DryRunInput, Idempotence, Operation
from kiln.declare.products import ActionKey
from kiln.declare.rules import JsonList
from kiln.declare.shapes import Field, fields_of, spell
from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.errors import DatabaseFull
from kiln.store.line import Hands
from kiln.store.settling import Key, Settling
from kiln.store.tasks import Task
from kiln.store.tokens import Token, tokens
from kiln.wire import idempotence
from kiln.wire.audit import Audit
from kiln.wire.decode import decode
from kiln.wire.errors import InvalidActionNotFound

#: Is called once, with what returns the answer or raises what was raised.
Then = Callable[[Callable[[], dict[str, Any]]], None]

INQUIRY_S = 3.5  #: So long an answer waits for others than the database: a little more than a guest's agent is given.


@dataclass(frozen=True, kw_only=True)
class _Request:
    """A decoded request, on its way through one or more tries of a transaction."""

    key: ActionKey
    operation: Operation[Any, Any, Any]
    given: Any
    params: Mapping[str, str]
    account: str
    token: str | None  #: The ClientToken, if there is one to serve.
    origin: Origin
    vpcs: set[str]  #: Those that it has changed.
    begun: set[Key]  #: What its answer waits for.
    prepared: Any = None  #: What the operation makes before the transaction.


class _Refused(NamedTuple):
    """A request that came to nothing, as the audit tells of it."""

    account: str
    key: ActionKey
    operation: Operation[Any, Any, Any]
    params: Mapping[str, str]
    origin: Origin


class Dispatcher:
    """Runs operations of a catalogue against the ports.

    *worker* and *hand_over* are of the worker in this process, if there is one;
    *settling*, which hears of changes, of a server whose clients look at what they have just begun; *audit*, which
    writes down what changes something, of one that is told how.
    """

    def __init__(
        self,
        catalogue: Mapping[ActionKey, Operation[Any, Any, Any]],
        ports: Ports,
        worker: str = "",
        hand_over: Callable[[Task], None] | None = None,
        settling: Settling | None = None,
        *,
        audit: Audit | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._ports = ports
        self._worker = worker
        self._hand_over = hand_over or (lambda _: None)
        self._settling = settling or Settling()
        self._audit = audit or Audit(ports)

    def knows(self, key: ActionKey) -> bool:
        """Whether there is such an operation."""
        return key in self._catalogue

    def dispatch(
        self, account: str, key: ActionKey, params: Mapping[str, str], origin: Origin = NOWHERE
    ) -> dict[str, Any]:
        """Run one operation for an account; returns its answer under wire names. Raises ApiError.

        Raises DatabaseFull, too, for what gives no room back while the room that is kept for deleting is given up: it
        would use it up.
        """
        request = self._read(account, key, params, origin)
        if request.operation.is_read:
            asked = self._inquire(request)
            if asked is not None:
                wait_for([asked], INQUIRY_S)
            return self._look(request, asked)
        answer = self._ports.database.write(
            lambda tx: self._perform(tx, request), gives_back=request.operation.gives_back
        )
        self._carry(request)
        return answer

    def hand_in(
        self,
        account: str,
        key: ActionKey,
        params: Mapping[str, str],
        then: Then,
        hands: Hands,
        *,
        origin: Origin = NOWHERE,
    ) -> None:
        """As ``dispatch``, for who does not wait for the disk: see ``Database.hand_in``.

        Who looks at what has just begun to change is answered when it is at rest, or a moment later.
        Raises ApiError for what is known at once; then *then* is not called.
        """
        request = self._read(account, key, params, origin)
        if request.operation.is_read:
            named = self._settling.named_in(account, params.values())
            if named and self._settling.when_at_rest(named, hands, lambda: self._look_late(request, then, hands)):
                return
            if not self._when_told(request, then, hands):
                answer = self._look(request)
                then(lambda: answer)
        else:
            gives_back = request.operation.gives_back
            self._ports.database.hand_in(
                lambda tx: self._perform(tx, request),
                self._when_carried(request, then, hands),
                hands,
                gives_back=gives_back,
            )

    def note_refusal(
        self, account: str, key: ActionKey, params: Mapping[str, str], origin: Origin, error: ApiError
    ) -> None:
        """Have the audit know that the call was answered with *error*, where it was one that changes something."""
        operation = self._catalogue.get(key)
        if operation is None or operation.is_read or _is_dry(params):
            return
        asked = _Refused(account, key, operation, params, origin)
        self._audit.refused(asked, self._ports.clock(), error)

    def _read(self, account: str, key: ActionKey, params: Mapping[str, str], origin: Origin) -> _Request:
        """What is asked for. Raises ApiError, DryRunOperation among them."""
        operation = self._catalogue.get(key)
        if operation is None:
            raise InvalidActionNotFound(action=key.action)
        params = self._placed(operation, params, origin)
        given = decode(operation.input, params)
        self._check_region(operation, given)
        token = _client_token(operation, params)
        request = _Request(
            key=key,
            operation=operation,
            given=given,
            params=params,
            account=account,
            token=token,
            origin=origin,
            vpcs=set(),
            begun=set(),
        )
        if _wants_dry_run(operation, params):
            self._rehearse(request)
            assert operation.dry_run is not None  # Otherwise nobody would have asked.
            raise operation.dry_run
        if operation.prepare is None:
            return request
        self._rehearse(request)  # What will be refused is refused before anything is made for it.
        return replace(request, prepared=operation.prepare(given))

    def _look_late(self, request: _Request, then: Then, hands: Hands) -> None:
        """As a request is looked at first, on a thread to which nothing can be raised."""
        try:
            is_later = self._when_told(request, then, hands)
        except ApiError:
            is_later = False  # The look comes to the same, and is told.
        if not is_later:
            then(lambda: self._look(request))

    def _when_told(self, request: _Request, then: Then, hands: Hands) -> bool:
        """Have a read answered when those that it asks have answered, or had their time; False where it asks nobody."""
        asked = self._inquire(request)
        if asked is None:
            return False
        if hands.later is None:
            wait_for([asked], INQUIRY_S)
            then(lambda: self._look(request, asked))
            return True
        is_first = threading.Lock()

        def look() -> None:
            if is_first.acquire(blocking=False):
                then(lambda: self._look(request, asked))

        asked.add_done_callback(lambda _: hands.start(look))
        hands.later(INQUIRY_S, look)
        return True

    def _inquire(self, request: _Request) -> Future[Any] | None:
        if request.operation.inquire is None:
            return None
        with self._ports.database.read() as tx:
            return request.operation.inquire(self._call(tx, request), request.given)

    def _look(self, request: _Request, asked: Future[Any] | None = None) -> dict[str, Any]:
        with self._ports.database.read() as tx:
            answer: dict[str, Any] = spell(_check(self._call(tx, request, asked), request))
            return answer

    def _perform(self, tx: Transaction, request: _Request) -> dict[str, Any]:
        operation, token = request.operation, request.token
        call = self._call(tx, request)
        before = _use_before(tx, request)
        if before is not None:
            answer = _replay(before)
            self._audit.record(tx, request, call.now, answer)
            return answer
        plan = _check(call, request)
        if not operation.gives_back and self._ports.database.is_room_given_up():
            raise DatabaseFull("what room there is was kept for what gives room back")
        assert operation.commit is not None  # Reads do not come here.
        answer = spell(operation.commit(call, plan))
        self._audit.record(tx, request, call.now, answer)
        if token is not None:
            row = Token(
                account=call.account,
                action=operation.token_name,
                token=token,
                digest=idempotence.digest_of(request.given),
                answer=json.dumps(answer),
                created_at=call.now,
            )
            tokens.insert(tx, row)
        request.vpcs.clear()  # Of a try that the database had made again.
        request.vpcs.update(change.id for change in tx.changes if change.noun == VPC)
        request.begun.clear()
        if operation.awaited:
            request.begun.update((change.account, change.id) for change in tx.changes)
        return answer

    def _carry(self, request: _Request) -> None:
        """Have the host carry what the request has changed of networks: who asked may look at once."""
        if request.vpcs and self._ports.plane is not None:
            self._ports.plane.settle(request.vpcs)

    def _when_carried(self, request: _Request, then: Then, hands: Hands) -> Then:
        def at_rest(outcome_of: Callable[[], dict[str, Any]]) -> None:
            if request.begun:
                outcome_of = _kept(outcome_of)  # What follows the commit has to begin before it can end.
                if self._settling.when_at_rest(request.begun, hands, lambda: then(outcome_of)):
                    return
            then(outcome_of)

        def carried(outcome_of: Callable[[], dict[str, Any]]) -> None:
            if not request.vpcs or self._ports.plane is None:
                at_rest(outcome_of)
                return

            def wait() -> None:
                outcome = _kept(outcome_of)
                self._carry(request)
                at_rest(outcome)

            # On another thread: nobody who shares the commit waits for it.
            hands.start(wait)

        return carried

    def _rehearse(self, request: _Request) -> None:
        """Check and change nothing. Raises what the request would be refused with.

        A token that was used for the same gets the same answer again, whatever
        has become of it.
        """
        with self._ports.database.read() as tx:
            if _use_before(tx, request) is None:
                _check(self._call(tx, request), request)

    def _call(self, tx: Transaction, request: _Request, asked: Future[Any] | None = None) -> Call:
        return Call(
            tx=tx,
            ports=self._ports,
            account=request.account,
            action=request.operation.name,
            now=self._ports.clock(),
            hand_over=self._hand_over,
            worker=self._worker,
            origin=request.origin,
            prepared=request.prepared,
            asked=asked,
        )

    def _placed(
        self, operation: Operation[Any, Any, Any], params: Mapping[str, str], origin: Origin
    ) -> Mapping[str, str]:
        """The parameters, of a read that names no region with that of the endpoint.

        Prowler lists VPCs and VSwitches so, of each region. What writes says where, or is refused: the
        SDKs send a region that they do not know to the endpoint of another.
        """
        if not operation.is_read or origin.region not in self._ports.deployment.regions:
            return params
        taken = next((f for f in fields_of(operation.input) if f.name == "region_id"), None)
        if taken is None or any(params.get(name) for name in (taken.wire, *taken.aliases)):
            return params
        return {**params, taken.wire: origin.region}

    def _check_region(self, operation: Operation[Any, Any, Any], given: Any) -> None:
        region = getattr(given, "region_id", None)
        if region is not None and region not in self._ports.deployment.regions:
            raise operation.unknown_region(region_id=region)


def _check(call: Call, request: _Request) -> Any:
    """What the operation decides, with what holds for parameters that were not sent. Raises ApiError."""
    operation = request.operation
    beneath = {} if operation.beneath is None else operation.beneath(call, request.given)
    given = decode(operation.input, request.params, beneath) if beneath else request.given
    return operation.check(call, given)


def _wants_dry_run(operation: Operation[Any, Any, Any], params: Mapping[str, str]) -> bool:
    return operation.dry_run is not None and bool(decode(DryRunInput, params).dry_run)


def _is_dry(params: Mapping[str, str]) -> bool:
    """Whether nothing was to be changed, as far as that can be read of what may have been refused for anything."""
    return params.get("DryRun", "").lower() == "true"


def _client_token(operation: Operation[Any, Any, Any], params: Mapping[str, str]) -> str | None:
    """The ClientToken, or None when there is none to serve."""
    if operation.idempotent is None:
        return None
    try:
        return decode(ClientTokenInput, params).client_token
    except InvalidParameter as e:
        raise operation.idempotent.malformed(**e.facts) from None


def _use_before(tx: Transaction, request: _Request) -> Token | None:
    """That the token was used for the same before, if it was. Raises the operation's error when it was for other."""
    operation = request.operation
    if request.token is None:
        return None
    before = tokens.find(tx, account=request.account, action=operation.token_name, token=request.token)
    if before is not None and not idempotence.is_of(before.digest, request.given):
        assert isinstance(operation.idempotent, Idempotence)  # Only such an operation has tokens.
        raise operation.idempotent.mismatch(token=before.token)
    return before


def _kept(outcome_of: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """What *outcome_of* comes to, called once and at once."""
    try:
        outcome = outcome_of()
    except BaseException as error:  # noqa: BLE001 - it is raised in whom it concerns.
        refused = error

        def refuse() -> dict[str, Any]:
            raise refused

        return refuse
    return lambda: outcome


def _replay(before: Token) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(before.answer)
    return answer


def errors_of(operation: Operation[Any, Any, Any]) -> tuple[type[ApiError], ...]:
    """Every error that the operation can answer with: declared, and of its parameters' rules."""
    found: dict[type[ApiError], None] = dict.fromkeys(_errors_of_rules(operation.parameters))
    found.update(dict.fromkeys(operation.errors))
    if operation.idempotent is not None:
        found.update(dict.fromkeys((operation.idempotent.mismatch, operation.idempotent.malformed)))
    if any(field.name == "region_id" for field in operation.parameters):
        found[operation.unknown_region] = None
    if operation.dry_run is not None:
        found[operation.dry_run] = None
    return tuple(found)


def _errors_of_rules(fields: Iterable[Field]) -> Iterator[type[ApiError]]:
    for field in fields:
        yield from (rule.error for rule in field.rules)
        if field.required:
            yield field.missing
        if field.packed is JsonList:
            yield field.unreadable
        if field.count is not None:
            yield field.count.error
        if field.is_shape:
            yield from _errors_of_rules(fields_of(field.kind))
