"""End a terminal session: whoever is joined by it is sent away, and its URL opens nothing any more.

The guest is left as it is: whoever had logged in at the console is logged in.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.calls.terminals import Terminal
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example
from kiln.declare.shapes import shape
from kiln.operations.params import NothingMore, RegionId


class InvalidSessionIdNotFound(ApiError):
    """The account has had no session of that ID in the region since this Kiln was started."""

    code = "InvalidSessionId.NotFound"
    status = 404
    message = "The specified session does not exist."


@shape
class Input:
    region_id: RegionId
    session_id: Annotated[str, Example("ts-bp1c2f7y3ouxkz9w5h0q"), Doc("The ID of the session.")]


def check(call: Call, p: Input) -> Terminal:
    found = call.ports.terminals.find(p.session_id, call.now)
    if found is None or (found.account, found.region) != (call.account, p.region_id):
        raise InvalidSessionIdNotFound(session_id=p.session_id)
    return found


def commit(call: Call, session: Terminal) -> NothingMore:
    end = call.ports.terminals.end
    call.tx.after_commit(lambda: end(session.id, "EndTerminalSession ended it", call.now))
    return NothingMore()


end_terminal_session = Operation(
    input=Input, output=NothingMore, check=check, commit=commit, gives_back=True, errors=(InvalidSessionIdNotFound,)
)
