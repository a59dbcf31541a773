"""Change how the metadata service answers an instance: whether at all, and whether to who has no token.

It counts from the guest's next question on, in whatever status the instance
is, and survives its restarts. What is not sent stays as it is.
"""

from __future__ import annotations

from typing import Annotated, Any

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Between, Doc, OneOf
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations import accepted
from kiln.operations.errors.instances import InstanceLockedForSecurity, InvalidInstanceIdNotFound
from kiln.operations.instances.parts import power
from kiln.operations.params import InstanceId, NothingMore, RegionId
from kiln.store.instances import instances


class InvalidHttpEndpointNotSupported(ApiError):
    """HttpEndpoint is neither enabled nor disabled."""

    code = "InvalidHttpEndpoint.NotSupported"
    message = "The specified HttpEndpoint not supported, you can use enabled(default) or disabled."


class InvalidHttpTokensNotSupported(ApiError):
    """HttpTokens is neither optional nor required."""

    code = "InvalidHttpTokens.NotSupported"
    message = "The specified HttpTokens not supported, you can use optional(default) or required."


@shape
class Input:
    region_id: RegionId
    instance_id: InstanceId
    http_endpoint: Annotated[
        str,
        OneOf(("enabled", "disabled"), InvalidHttpEndpointNotSupported),
        Doc("Whether the guest may ask the metadata service."),
    ]
    http_tokens: Annotated[
        str | None,
        OneOf(("optional", "required"), InvalidHttpTokensNotSupported),
        Doc("Whether the metadata service insists on tokens."),
    ] = None
    http_put_response_hop_limit: Annotated[
        int | None,
        Between(1, 64),
        accepted.NETWORK,
        Doc("Hops that a metadata answer lives. DescribeInstances shows it."),
    ] = None
    instance_metadata_tags: Annotated[
        str | None, Accepted("Tags are not in the metadata."), Doc("Whether the metadata has the instance's tags.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    instance_id: str
    changes: dict[str, Any]


def check(call: Call, p: Input) -> Plan:
    instance = power.find_unlocked(call, p.region_id, p.instance_id)
    wanted = {
        "http_endpoint": p.http_endpoint,
        "http_tokens": p.http_tokens,
        "hop_limit": p.http_put_response_hop_limit,
    }
    changes = {name: value for name, value in wanted.items() if value is not None}
    return Plan(instance_id=instance.id, changes=changes)


def commit(call: Call, plan: Plan) -> NothingMore:
    instances.update(call.tx, plan.changes, id=plan.instance_id)
    return NothingMore()


modify_instance_metadata_options = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    errors=(
        InvalidInstanceIdNotFound,
        InstanceLockedForSecurity,
        InvalidHttpEndpointNotSupported,
        InvalidHttpTokensNotSupported,
    ),
)
