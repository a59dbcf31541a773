"""Take a role of the account for a while: a key, its secret and a token, which together sign as the account does.

Kiln has no RAM: every role of the caller's own account exists and may do what
the account may, so that a pipeline which takes one finds it. What is asked for
with the key is signed with its secret, and names the token beside. It ends when
its time is over, or when the AccessKey that asked for it is switched off.
"""

from __future__ import annotations

import re
from typing import Annotated

from kiln.calls.call import Call
from kiln.calls.sessions import ROLE_NAME, Session, new_key, to_text
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Between, Declined, Doc, Example, Pattern, Secret
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text

_ARN = re.compile(rf"acs:ram::([0-9]{{1,20}}):role/({ROLE_NAME})")
_HOUR_S = 3600


class InvalidParameterRoleArn(ApiError):
    """RoleArn is not of the form ``acs:ram::ACCOUNT:role/NAME``."""

    code = "InvalidParameter.RoleArn"
    message = "The parameter RoleArn is wrongly formed."


class InvalidParameterRoleSessionName(ApiError):
    """RoleSessionName has other characters, or another length."""

    code = "InvalidParameter.RoleSessionName"
    message = "The parameter RoleSessionName is wrongly formed."


class InvalidParameterDurationSeconds(ApiError):
    """DurationSeconds is out of range."""

    code = "InvalidParameter.DurationSeconds"
    message = "The Min/Max value of DurationSeconds is 15min/1hr."


class EntityNotExistRole(ApiError):
    """The role is another account's."""

    code = "EntityNotExist.Role"
    status = 404
    message = "The specified Role not exists."
    hint = "Every role of the caller's own account exists: `kiln call Sts:GetCallerIdentity` tells which that is."


@shape
class Input:
    role_arn: Annotated[
        str,
        Pattern(_ARN.pattern, "acs:ram::ACCOUNT:role/NAME", "role/x", InvalidParameterRoleArn),
        Example("acs:ram::1000000000000001:role/packer"),
        Doc("The role: any name, of the caller's own account."),
    ]
    role_session_name: Annotated[
        str,
        Pattern(
            r"[A-Za-z0-9.@_-]{2,64}",
            "2 to 64 letters, digits, periods, at signs, hyphens and underscores",
            "é",
            InvalidParameterRoleSessionName,
        ),
        Example("alice"),
        Doc("Who takes it, for GetCallerIdentity to tell."),
    ]
    duration_seconds: Annotated[
        int, Between(900, _HOUR_S, InvalidParameterDurationSeconds), Doc("For how many seconds.")
    ] = _HOUR_S
    policy: Annotated[
        str | None,
        Declined("Kiln has no policies, and a key that is believed to be limited is worse than none"),
        Doc("What the key may do, of what the role may."),
    ] = None
    external_id: Annotated[
        str | None, Accepted("Roles have no conditions."), Doc("An ID that the role's condition may ask for.")
    ] = None


@shape
class CredentialsOutput:
    """The key."""

    access_key_id: Annotated[str, Example("STS.NUgYrLnoC37mZZCNnAbez4Kj"), Doc("Its ID.")]
    access_key_secret: Annotated[str, Secret(), Example("CVwjCkNzTMupZ8NbTCxCBRq3K16jtcWF"), Doc("Its secret.")]
    security_token: Annotated[str, Secret(), Example("v1:aGVsbG8="), Doc("The token, which is sent with each request.")]
    expiration: Annotated[str, Example("2026-11-23T07:07:05Z"), Doc("Until when it is good.")]


@shape
class AssumedRoleUserOutput:
    """Who signs with it."""

    arn: Annotated[str, Example("acs:ram::1000000000000001:role/packer/alice"), Doc("The role, and who took it.")]
    assumed_role_id: Annotated[str, Example("30000000000000001:alice"), Doc("The number of the role, and who took it.")]


@shape
class Output:
    credentials: Annotated[CredentialsOutput, Doc("The key.")]
    assumed_role_user: Annotated[AssumedRoleUserOutput, Doc("Who signs with it.")]


def check(call: Call, p: Input) -> Output:
    found = _ARN.fullmatch(p.role_arn)
    assert found is not None  # It was checked.
    account, role = found.groups()
    if account != call.account:
        raise EntityNotExistRole(role_arn=p.role_arn)
    before = call.origin.session
    parent = call.origin.access_key_id if before is None else before.parent
    session = Session(role=role, name=p.role_session_name, parent=parent, expires_at=call.now + p.duration_seconds)
    key = new_key(call.account, session)
    return Output(
        credentials=CredentialsOutput(
            access_key_id=key.key_id,
            access_key_secret=key.secret,
            security_token=call.ports.seal(to_text(key)),
            expiration=to_seconds_text(session.expires_at),
        ),
        assumed_role_user=AssumedRoleUserOutput(
            arn=f"{p.role_arn}/{session.name}",
            assumed_role_id=f"{session.role_id(call.account)}:{session.name}",
        ),
    )


assume_role = Operation(input=Input, output=Output, check=check, errors=(EntityNotExistRole,))
