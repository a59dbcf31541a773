"""End a terminal session: whoever is joined by it is sent away, and its URL opens nothing any more.

The guest is left as it is: whoever had logged in at the console is logged in.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.calls.terminals import ENDED, is_open
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example
from kiln.declare.shapes import shape
from kiln.operations.params import NothingMore, RegionId
from kiln.store.terminals import Terminal, end, terminals


class InvalidSessionIdNotFound(ApiError):
    """The account has had no session of that ID in the region, or it is forgotten."""

    code = "InvalidSessionId.NotFound"
    status = 404
    message = "The specified session does not exist."


@shape
class Input:
    region_id: RegionId
    session_id: Annotated[str, Example("ts-bp1c2f7y3ouxkz9w5h0q"), Doc("The ID of the session.")]


def check(call: Call, p: Input) -> Terminal:
    found = terminals.find(call.tx, id=p.session_id, **call.own(p.region_id))
    if found is None:
        raise InvalidSessionIdNotFound(session_id=p.session_id)
    return found


def commit(call: Call, session: Terminal) -> NothingMore:
    if is_open(session, call.now):
        end(call.tx, session.id, ENDED, call.now)
    return NothingMore()


end_terminal_session = Operation(
    input=Input, output=NothingMore, check=check, commit=commit, gives_back=True, errors=(InvalidSessionIdNotFound,)
)
