"""Open a terminal on the serial console of a running instance: the answer has a URL to connect to by WebSocket.

Real machines have a display as well; those of Kiln have a serial console alone,
and that is what a session shows, with the login that the guest asks for there:
no agent in the guest is needed, and no network of it. `ali-instance-cli session`
speaks this protocol, and so does `kiln instance console INSTANCE --attach`; [a page of its
own](../../howto/terminal.md) describes it.

The URL is good once, for ten minutes. All who are joined to an instance's console
at a time see the same, and each may type.
"""

from __future__ import annotations

import secrets
from typing import Annotated
from urllib.parse import urlencode

from kiln.calls.call import Call
from kiln.calls.terminals import MOST_OPEN, hash_of
from kiln.declare.errors import ApiError, InvalidParameter
from kiln.declare.ids import new_id
from kiln.declare.operation import Idempotence, Operation
from kiln.declare.rules import Accepted, Count, Declined, Doc, Example, Missing, OneOf, Secret, Unordered, Wire
from kiln.declare.shapes import shape
from kiln.declare.states import InstanceStatus
from kiln.operations.errors.instances import (
    IncorrectInstanceStatus,
    InstanceIdsExceedLimit,
    InvalidInstanceIdNotFound,
    MissingParamInstanceId,
)
from kiln.operations.errors.requests import IdempotentParameterMismatch, InvalidClientTokenMalformed
from kiln.operations.params import InstanceId, RegionId
from kiln.store.instances import Instance, instances
from kiln.store.terminals import CONNECTING, Terminal, add, is_open, terminals

_TOKEN_BYTES = 32


class IncorrectInstanceStatusOfSession(IncorrectInstanceStatus):
    """The instance does not run: only a machine that is on has a console."""

    hint = "`kiln instance start INSTANCE` starts it; without --attach is shown what it has printed."


class SessionCountExceedQuota(ApiError):
    """The account has 100 sessions in the region that are joined, or can be."""

    code = "SessionCount.ExceedQuota"
    status = 403
    message = "The number of sessions in the current region exceeds the quota."
    hint = "`kiln call EndTerminalSession SessionId=SESSION` ends one; one that nobody joins ends after ten minutes."


@shape
class EncryptionOptions:
    """Encryption within the session."""

    enabled: Annotated[
        bool | None,
        Declined("TLS encrypts the connection, and the console is on this host"),
        Doc("Whether what is typed and shown is encrypted once more."),
    ] = None
    mode: Annotated[str | None, OneOf(("Auto", "Kms")), Accepted("It is not enabled."), Doc("Whose key.")] = None
    kms_key_id: Annotated[
        str | None, Wire("KMSKeyId"), Declined("there is no key management service"), Doc("The key.")
    ] = None


@shape
class Input:
    region_id: RegionId
    instance_id: Annotated[
        tuple[InstanceId, ...],
        Unordered(),
        Count(10, InstanceIdsExceedLimit),
        Missing(MissingParamInstanceId),
        Doc("The instance, which must be Running. It is a list, and one is all that a session has here."),
    ]
    connection_type: Annotated[
        str | None,
        OneOf(("Internet", "Intranet")),
        Example("Intranet"),
        Accepted("The URL leads to where the request came."),
        Doc("The network that the URL is to be of."),
    ] = None
    command_line: Annotated[
        str | None,
        Declined("a console begins nothing; RunCommand does"),
        Doc("What is to run at the beginning."),
    ] = None
    username: Annotated[str | None, Declined("the guest's own login asks who it is"), Doc("The user in the guest.")] = (
        None
    )
    password_name: Annotated[
        str | None, Declined("the guest's own login asks for it"), Doc("The parameter that holds the password.")
    ] = None
    port_number: Annotated[
        int | None, Doc("A port of the guest to be forwarded. Refused: a session is the console.")
    ] = None
    target_server: Annotated[
        str | None,
        Declined("a session is the console; ports are reached by the instance's addresses"),
        Doc("A server to be reached through the guest."),
    ] = None
    encryption_options: Annotated[EncryptionOptions | None, Doc("Encryption within the session.")] = None


@shape
class Output:
    session_id: Annotated[str, Example("ts-bp1c2f7y3ouxkz9w5h0q"), Doc("The ID of the session.")]
    security_token: Annotated[
        str,
        Secret(),
        Example("u7Yt0S4vQm1rJc9LwX2eZp8nBa5kFh3dGi6oTqRsUxE"),
        Doc("The token in the URL; it may be sent as the header X-Acs-Session-Token instead. Whoever has it can join."),
    ]
    web_socket_url: Annotated[
        str,
        Secret(),
        Example("ws://127.0.0.1:8787/session?sessionid=ts-bp1c2f7y3ouxkz9w5h0q&token=u7Yt0S4vQm1rJc9LwX2eZp8nBa5kFh3d"),
        Doc("Where to connect, at the address at which the request came: wss:// where that was by TLS."),
    ]


def check(call: Call, p: Input) -> Instance:
    if p.port_number:
        rule = "must be absent: a session is the console, and ports are reached by the instance's addresses"
        raise InvalidParameter(parameter="PortNumber", rule=rule)
    if not p.instance_id:
        raise MissingParamInstanceId
    named, *others = dict.fromkeys(p.instance_id)
    if others:
        raise InstanceIdsExceedLimit
    instance = call.the(instances, named, p.region_id, InvalidInstanceIdNotFound)
    if instance.status != InstanceStatus.RUNNING:
        raise IncorrectInstanceStatusOfSession(instance_id=instance.id, status=instance.status)
    if terminals.count(call.tx, is_open(call.now), **call.own(p.region_id)) >= MOST_OPEN:
        raise SessionCountExceedQuota(most=MOST_OPEN)
    return instance


def commit(call: Call, instance: Instance) -> Output:
    token, role = secrets.token_urlsafe(_TOKEN_BYTES), call.origin.session
    session = Terminal(
        id=new_id("terminal_session"),
        account=call.account,
        region=instance.region,
        instance=instance.id,
        status=CONNECTING,
        token_hash=hash_of(token),
        created_at=call.now,
        access_key_id=call.origin.access_key_id,
        role="" if role is None else role.role,
        role_name="" if role is None else role.name,
        role_parent="" if role is None else role.parent,
        role_expires_at=0.0 if role is None else role.expires_at,
        client_host=call.origin.peer,
        started_at=None,
        ended_at=None,
        reason="",
        door="",
    )
    add(call.tx, session)
    address = call.origin.reached_at(otherwise=call.deployment.endpoint)
    # The official client spells sessionid as the service does, and sends sessionId.
    query = urlencode({"sessionid": session.id, "token": token})
    scheme = "wss" if call.origin.is_tls else "ws"
    return Output(session_id=session.id, security_token=token, web_socket_url=f"{scheme}://{address}/session?{query}")


start_terminal_session = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    idempotent=Idempotence(mismatch=IdempotentParameterMismatch, malformed=InvalidClientTokenMalformed),
    errors=(
        MissingParamInstanceId,
        InvalidInstanceIdNotFound,
        IncorrectInstanceStatusOfSession,
        SessionCountExceedQuota,
    ),
)
