"""List the terminal sessions of the account, the newest first: those that are open, and the last that are over.

A thousand of an account are remembered. A session that is joined ends with the
process at which it was.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.calls.terminals import as_of, role_of
from kiln.declare.errors import InvalidParameter
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example, Wire
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text
from kiln.operations.paging import DEFAULT_SIZE, open_position, seal_position
from kiln.operations.params import InstanceId, NextToken, RegionId
from kiln.store.terminals import FAILED, Terminal, terminals

_MOST = 100


@shape
class Input:
    region_id: RegionId
    instance_id: Annotated[InstanceId | None, Doc("Only those of this instance.")] = None
    session_id: Annotated[str | None, Example("ts-bp1c2f7y3ouxkz9w5h0q"), Doc("Only this session.")] = None
    max_results: Annotated[int | None, Example("10"), Doc("Rows an answer: 1 to 100.")] = None
    next_token: NextToken | None = None


@shape
class ConnectionOutput:
    """One connection."""

    instance_id: InstanceId
    status: Annotated[
        str,
        Example("Connected"),
        Doc(
            "Connecting until somebody has come by the URL, then Connected; at last Terminated, or Failed where nobody "
            "could be joined to the console."
        ),
    ]
    start_time: Annotated[str, Example("2026-11-23T06:07:05Z"), Doc("When it was joined, in UTC; empty: not yet.")]
    end_time: Annotated[str, Doc("When it ended, in UTC; empty: not yet.")]
    closed_reason: Annotated[str, Doc("Why it ended.")]
    failed_detail: Annotated[str, Doc("Why nobody could be joined, of one that is Failed.")]


@shape
class ConnectionsOutput:
    """Connections."""

    connection: Annotated[tuple[ConnectionOutput, ...], Doc("The one connection of the session.")]


@shape
class SessionOutput:
    """One session."""

    session_id: Annotated[str, Example("ts-bp1c2f7y3ouxkz9w5h0q"), Doc("The ID of the session.")]
    creation_time: Annotated[str, Example("2026-11-23T06:07:05Z"), Doc("When it was asked for, in UTC.")]
    client_ip: Annotated[str, Wire("ClientIP"), Example("127.0.0.1"), Doc("Where that came from.")]
    identity_type: Annotated[str, Example("Account"), Doc("Who asked for it: Account, or AssumedRoleUser.")]
    principal_id: Annotated[
        str, Example("1000000000000001"), Doc("The account, or the number of the role and who took it.")
    ]
    connections: Annotated[ConnectionsOutput, Doc("How it went.")]


@shape
class SessionsOutput:
    """Sessions."""

    session: Annotated[tuple[SessionOutput, ...], Doc("The sessions of this page.")]


@shape
class Output:
    sessions: Annotated[SessionsOutput, Doc("The sessions.")]
    next_token: Annotated[str, Doc("To be sent for the next page; empty on the last one.")]


def check(call: Call, p: Input) -> Output:
    named = {"instance": p.instance_id, "id": p.session_id}
    where = {name: value for name, value in named.items() if value is not None}
    rows = terminals.all(call.tx, account=call.account, region=p.region_id, **where)
    found = sorted((as_of(one, call.now) for one in rows), key=_position, reverse=True)
    if p.next_token:
        position = open_position(call, p, p.next_token, (float, str))
        if position is None:
            rule = "must be the NextToken of the answer before, to the same query"
            raise InvalidParameter(parameter="NextToken", rule=rule)
        found = [one for one in found if _position(one) < position]
    size = min(max(DEFAULT_SIZE if p.max_results is None else p.max_results, 1), _MOST)
    shown = found[:size]
    return Output(
        sessions=SessionsOutput(session=tuple(map(_draw, shown))),
        next_token=seal_position(call, p, _position(shown[-1])) if len(found) > size else "",
    )


def _position(one: Terminal) -> tuple[float, str]:
    return one.created_at, one.id


def _draw(one: Terminal) -> SessionOutput:
    has_failed, role = one.status == FAILED, role_of(one)
    connection = ConnectionOutput(
        instance_id=one.instance,
        status=one.status,
        start_time="" if one.started_at is None else to_seconds_text(one.started_at),
        end_time="" if one.ended_at is None else to_seconds_text(one.ended_at),
        closed_reason=one.reason,
        failed_detail=one.reason if has_failed else "",
    )
    return SessionOutput(
        session_id=one.id,
        creation_time=to_seconds_text(one.created_at),
        client_ip=one.client_host,
        identity_type="Account" if role is None else "AssumedRoleUser",
        principal_id=one.account if role is None else f"{role.role_id(one.account)}:{role.name}",
        connections=ConnectionsOutput(connection=(connection,)),
    )


describe_terminal_sessions = Operation(input=Input, output=Output, check=check)
