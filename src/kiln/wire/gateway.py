"""From a request as it came to an answer as it goes: door, dispatcher, door again.

The only place where an exception that nobody declared is met: it is logged
with its traceback under the request's ID, and answered as InternalError.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, NoReturn, Protocol

from kiln.calls.call import NOWHERE
from kiln.calls.origin import Origin
from kiln.declare.errors import ApiError, InternalError, ServiceUnavailable
from kiln.declare.ids import new_request_id
from kiln.declare.metrics import REQUESTS
from kiln.ground.clock import Clock
from kiln.ground.journal import Journal, about
from kiln.ground.vouching import Voucher
from kiln.store.errors import DatabaseBusy, DatabaseDown, DatabaseFull, DatabaseMalformed
from kiln.store.line import Hands
from kiln.wire.dispatch import Dispatcher
from kiln.wire.doors import DOORS, acs3, choose
from kiln.wire.doors.acs3 import Acs3Door
from kiln.wire.doors.checks import holder
from kiln.wire.doors.door import Admitted, Answer, Credentials, Door, RawRequest
from kiln.wire.doors.parameters import of_query
from kiln.wire.errors import IncompleteSignature
from kiln.wire.key import Key
from kiln.wire.nonces import Nonces

log = Journal("kiln.wire")

#: What the log says of the database where the caller is told that it is not available.
_OF_DATABASE: dict[type[Exception], str] = {
    DatabaseFull: "database_full",
    DatabaseDown: "database_closed",
    DatabaseMalformed: "database_damaged",
    DatabaseBusy: "database_busy",
}


class Asker(Protocol):
    """Who waits for an answer. One of these is called once, on any thread."""

    def succeed(self, value: Answer, /) -> None:
        """Here it is."""

    def fail(self, error: BaseException, /) -> None:
        """There is none, for a fault of ours."""


class Gateway:
    """Answers requests. Safe to call from any thread."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        credentials: Credentials,
        nonces: Nonces,
        clock: Clock,
        doors: tuple[Door, ...] = DOORS,
        *,
        voucher: Voucher | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self._credentials = credentials
        self._nonces = nonces
        self._clock = clock
        self._doors = doors
        self._voucher = voucher

    def answer(self, request: RawRequest) -> Answer:
        """The answer to *request*; never raises."""
        jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        waited = _Waited(jobs.put)
        self.hand_in(request, waited, Hands(jobs.put))
        while waited.answer is None:
            jobs.get()()
        return waited.answer

    def hand_in(self, request: RawRequest, asker: Asker, hands: Hands) -> None:
        """As ``answer``, for who does not wait for the disk: *asker* is given the answer, now or later."""
        began = request.came_at
        request_id = new_request_id()
        door = choose(request, self._doors)
        admitted: Admitted | None = None
        origin = NOWHERE

        def tell(outcome_of: Callable[[], dict[str, Any]]) -> None:
            try:
                outcome: dict[str, Any] | ApiError
                try:
                    outcome = outcome_of()
                except Exception as error:  # noqa: BLE001 - it is met, and logged, in one place.
                    outcome = _met(error, request_id, door)
                    if admitted is not None:
                        self._dispatcher.note_refusal(
                            admitted.account_id, admitted.key, admitted.params, origin, outcome
                        )
                answer = _tell(door, request, outcome=outcome, request_id=request_id, admitted=admitted, began=began)
                REQUESTS.observe(time.perf_counter() - began, self._action(admitted), door.name, str(answer.status))
            except BaseException as error:  # noqa: BLE001 - whoever waits hears of it.
                asker.fail(error)
            else:
                asker.succeed(answer)

        try:
            admitted = door.admit(request, self._credentials, self._nonces, self._clock())
            origin = Origin(
                request_id=request_id,
                access_key_id=admitted.access_key_id,
                session=admitted.session,
                region=admitted.region,
                host=request.host,
                peer=self._peer_of(request),
                is_tls=request.is_tls,
                user_agent=request.fields.get("user-agent", ""),
                person=admitted.user_email or "",
            )
            with about(request_id=request_id, account=admitted.account_id, action=admitted.key.action):
                self._dispatcher.hand_in(admitted.account_id, admitted.key, admitted.params, tell, hands, origin=origin)
        except Exception as error:  # noqa: BLE001 - as above.
            tell(partial(_again, error))

    def _peer_of(self, request: RawRequest) -> str:
        """From where a request comes: of one that this process's own console makes, from where a browser asked that."""
        asked_from = "" if self._voucher is None else self._voucher.heard(request.fields)
        return asked_from or request.client_host

    def whose(self, request: RawRequest) -> Key:
        """The key that signed a request for a path that is no operation's. Raises ApiError.

        Only a signature that covers the path will do, or whoever saw a request on
        its way could send it to another path: that of the ACS3 door.
        """
        door = choose(request, self._doors)
        if not isinstance(door, Acs3Door):
            raise IncompleteSignature(reason=f"{request.path} is to be signed with an ACS3 Authorization header")
        try:
            return acs3.prove(request, of_query(request), self._credentials, self._nonces, self._clock())
        except Exception as error:
            raise _met(error, new_request_id(), door) from error

    def is_in_use(self, key: Key) -> bool:
        """Whether *key*, an app's too, which signed something before, could still sign."""
        session = key.session
        if session is not None and session.expires_at <= self._clock():
            return False
        try:
            if session is not None:
                now = holder(self._credentials, session)
            else:
                now = self._credentials.access_key(key.id) or self._credentials.app(key.id)
        except Exception as error:  # noqa: BLE001 - as above; who cannot be asked has no say.
            _met(error, new_request_id(), None)
            return False
        return now is not None and now.active and now.account_id == key.account_id

    def refuse(self, request: RawRequest, error: ApiError) -> Answer:
        """The answer to a request that was not read to its end."""
        door, request_id, began = choose(request, self._doors), new_request_id(), request.came_at
        answer = _tell(door, request, outcome=error, request_id=request_id, admitted=None, began=began)
        REQUESTS.observe(time.perf_counter() - began, self._action(None), door.name, str(answer.status))
        return answer

    def _action(self, admitted: Admitted | None) -> str:
        """What was asked for, as metrics tell it: only what there is, or who asks could make labels."""
        if admitted is None:
            return "none"
        return admitted.key.action if self._dispatcher.knows(admitted.key) else "unknown"


class _Waited:
    """An asker for the thread that waits for it, which *wake* lets look again."""

    def __init__(self, wake: Callable[[Callable[[], None]], None]) -> None:
        self.answer: Answer | None = None
        self._wake = wake

    def succeed(self, value: Answer) -> None:
        self.answer = value
        self._wake(lambda: None)

    def fail(self, error: BaseException) -> None:
        self._wake(partial(_again, error))


def _again(error: BaseException) -> NoReturn:
    raise error


def _met(error: Exception, request_id: str, door: Door | None) -> ApiError:
    """What the caller is told of *error*, and a line in the log where it is not the caller's."""
    if isinstance(error, ApiError):
        return error
    if event := _OF_DATABASE.get(type(error)):
        log.warning(event, request_id=request_id, reason=str(error))
        return ServiceUnavailable()
    log.exception("request_crashed", request_id=request_id, door=door.name if door else "")  # noqa: LOG004 - in one.
    return InternalError()


def _tell(
    door: Door,
    request: RawRequest,
    *,
    outcome: dict[str, Any] | ApiError,
    request_id: str,
    admitted: Admitted | None,
    began: float,
) -> Answer:
    """The answer in the door's words, and a line in the log."""
    answer = door.answer(request, outcome, request_id, admitted)
    log.info(
        "request",
        request_id=request_id,
        peer=request.client_host,
        door=door.name,
        action=admitted.key.action if admitted else "",
        key=admitted.access_key_id if admitted else "",
        account=admitted.account_id if admitted else "",
        user=admitted.user_email if admitted else None,
        status=answer.status,
        code=outcome.code if isinstance(outcome, ApiError) else "",
        ms=round((time.perf_counter() - began) * 1000, 2),
    )
    return answer
