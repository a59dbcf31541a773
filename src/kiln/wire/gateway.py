"""From a request as it came to an answer as it goes: door, dispatcher, door again.

The only place where an exception that nobody declared is met: it is logged
with its traceback under the request's ID, and answered as InternalError.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from kiln.declare.clock import Clock
from kiln.declare.errors import ApiError, InternalError, ServiceUnavailable
from kiln.declare.ids import new_request_id
from kiln.declare.journal import Journal
from kiln.store.database import DatabaseFull, DatabaseMalformed
from kiln.wire.dispatch import Dispatcher
from kiln.wire.doors import choose
from kiln.wire.doors.door import Admitted, Answer, Credentials, Door, RawRequest
from kiln.wire.nonces import Nonces

log = Journal("kiln.wire")


class Gateway:
    """Answers requests. Safe to call from any thread."""

    def __init__(self, dispatcher: Dispatcher, credentials: Credentials, nonces: Nonces, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._credentials = credentials
        self._nonces = nonces
        self._clock = clock

    def answer(self, request: RawRequest, waits: Callable[[], None] = lambda: None) -> Answer:
        """The answer to *request*; never raises. *waits* is called where another commits for it, before it waits."""
        began = time.perf_counter()
        request_id = new_request_id()
        door = choose(request)
        admitted: Admitted | None = None
        outcome: dict[str, Any] | ApiError
        try:
            admitted = door.admit(request, self._credentials, self._nonces, self._clock())
            outcome = self._dispatcher.dispatch(admitted.account_id, admitted.key, admitted.params, waits)
        except ApiError as error:
            outcome = error
        except DatabaseFull as error:
            log.warning("database_full", request_id=request_id, reason=str(error))
            outcome = ServiceUnavailable()
        except DatabaseMalformed as error:
            log.warning("database_damaged", request_id=request_id, reason=str(error))
            outcome = ServiceUnavailable()
        except Exception:
            log.exception("request_crashed", request_id=request_id, door=door.name)
            outcome = InternalError()
        return _tell(door, request, outcome=outcome, request_id=request_id, admitted=admitted, began=began)

    def refuse(self, request: RawRequest, error: ApiError) -> Answer:
        """The answer to a request that was not read to its end."""
        door, request_id, began = choose(request), new_request_id(), time.perf_counter()
        return _tell(door, request, outcome=error, request_id=request_id, admitted=None, began=began)


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
