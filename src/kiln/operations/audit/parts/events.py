"""An event of the audit, as ActionTrail spells it, drawn from its row.

What a row's ``detail`` holds, under short names, each only where there is something to tell:

    p  parameters      a  answer         r  region      s  address that was called    i  address of the caller
    u  user agent      k  type of the caller, unless it is root-account               q  its principal, likewise
    t  by TLS          f  the key that took the role    m  error message
    n  calls that were alike             o  calls that were refused besides, and have no row
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from kiln.declare.ids import PREFIXES
from kiln.declare.products import PRODUCTS
from kiln.declare.rules import Doc, Example, Wire
from kiln.declare.shapes import JsonObject, shape
from kiln.ground.clock import to_seconds_text
from kiln.store.audit import AuditEvent, audit
from kiln.store.conditions import NOTHING, Condition, any_of

ROOT = "root-account"

#: What ActionTrail calls the resources that identifiers are of; a webhook, which only Kiln has, likewise.
#: Volumes and sessions are nobody's resources there.
TYPES = {
    "image": "ACS::ECS::Image",
    "snapshot": "ACS::ECS::Snapshot",
    "snapshot_group": "ACS::ECS::SnapshotGroup",
    "snapshot_policy": "ACS::ECS::AutoSnapshotPolicy",
    "disk": "ACS::ECS::Disk",
    "instance": "ACS::ECS::Instance",
    "key_pair": "ACS::ECS::KeyPair",
    "task": "ACS::ECS::Task",
    "resource_group": "ACS::ResourceManager::ResourceGroup",
    "vpc": "ACS::VPC::VPC",
    "vswitch": "ACS::VPC::VSwitch",
    "security_group": "ACS::ECS::SecurityGroup",
    "security_group_rule": "ACS::ECS::SecurityGroupRule",
    "network_interface": "ACS::ECS::NetworkInterface",
    "eip": "ACS::EIP::EipAddress",
    "command": "ACS::ECS::Command",
    "launch_template": "ACS::ECS::LaunchTemplate",
    "webhook": "ACS::Kiln::Webhook",
}
_BY_PREFIX = {PREFIXES[noun]: kind for noun, kind in TYPES.items()}
_PREFIX_OF = {kind: prefix for prefix, kind in _BY_PREFIX.items()}
_VERSIONS = {product.name: product.version for product in PRODUCTS}


@shape
class UserIdentityOutput:
    """Who called."""

    type: Annotated[
        str,
        Wire("type"),
        Example("root-account"),
        Doc("root-account: by a key of the account. ram-user: a person who uses its app. assumed-role: by AssumeRole."),
    ]
    principal_id: Annotated[str, Wire("principalId"), Doc("The account, the person, or the role and its session.")]
    account_id: Annotated[str, Wire("accountId"), Doc("The account.")]
    user_name: Annotated[str, Wire("userName"), Example("root"), Doc("root, the person, or role:session.")]
    access_key_id: Annotated[str, Wire("accessKeyId"), Doc("The key that signed, or the app's.")]


@shape
class EventOutput:
    """A call."""

    event_id: Annotated[str, Wire("eventId"), Doc("The request's ID.")]
    event_version: Annotated[int, Wire("eventVersion"), Example("1"), Doc("Of the format.")]
    event_category: Annotated[str, Wire("eventCategory"), Example("Management"), Doc("Always Management.")]
    event_type: Annotated[str, Wire("eventType"), Example("ApiCall"), Doc("Always ApiCall.")]
    event_name: Annotated[str, Wire("eventName"), Example("CreateImage"), Doc("The action.")]
    event_rw: Annotated[str, Wire("eventRW"), Example("Write"), Doc("Always Write: reads are not written down.")]
    event_source: Annotated[str, Wire("eventSource"), Doc("The address that was called, as the client knows it.")]
    event_time: Annotated[str, Wire("eventTime"), Example("2026-11-23T06:07:05Z"), Doc("When.")]
    service_name: Annotated[str, Wire("serviceName"), Example("Ecs"), Doc("The product.")]
    api_version: Annotated[str, Wire("apiVersion"), Example("2014-05-26"), Doc("Its version.")]
    acs_region: Annotated[str, Wire("acsRegion"), Example("cn-qingdao-env17-d01"), Doc("The region.")]
    is_global: Annotated[bool, Wire("isGlobal"), Doc("Always false.")]
    request_id: Annotated[str, Wire("requestId"), Doc("The request's ID.")]
    recipient_account_id: Annotated[str, Wire("recipientAccountId"), Doc("The account.")]
    source_ip_address: Annotated[str, Wire("sourceIpAddress"), Doc("The address that the request came from.")]
    user_agent: Annotated[str, Wire("userAgent"), Doc("What the client calls itself.")]
    user_identity: Annotated[UserIdentityOutput, Wire("userIdentity"), Doc("Who called.")]
    referenced_resources: Annotated[
        JsonObject, Wire("referencedResources"), Doc("What was named in the request and its answer: IDs by type.")
    ]
    additional_event_data: Annotated[
        JsonObject,
        Wire("additionalEventData"),
        Doc(
            "Scheme; of a session ParentAccessKeyId, the key that took the role; of refused calls Count, how many were "
            "alike, and OthersRefused, how many more were refused that have no event."
        ),
    ]
    error_code: Annotated[str, Wire("errorCode"), Doc("What it was refused with; empty where it took effect.")]
    error_message: Annotated[str, Wire("errorMessage"), Doc("Likewise.")]
    request_parameters: Annotated[
        JsonObject, Wire("requestParameters"), Doc("What was sent; what is longer than 1,024 letters is cut off.")
    ]
    response_elements: Annotated[JsonObject, Wire("responseElements"), Doc("What was answered.")]


def draw(row: AuditEvent) -> EventOutput:
    """The event that a row is of."""
    detail: dict[str, Any] = json.loads(row.detail)
    return EventOutput(
        event_id=row.id,
        event_version=1,
        event_category="Management",
        event_type="ApiCall",
        event_name=row.name,
        event_rw="Write",
        event_source=detail.get("s", ""),
        event_time=to_seconds_text(row.at),
        service_name=row.service,
        api_version=_VERSIONS.get(row.service, ""),
        acs_region=detail.get("r", ""),
        is_global=False,
        request_id=row.id,
        recipient_account_id=row.account,
        source_ip_address=detail.get("i", ""),
        user_agent=detail.get("u", ""),
        user_identity=UserIdentityOutput(
            type=detail.get("k", ROOT),
            principal_id=detail.get("q", row.account),
            account_id=row.account,
            user_name=row.caller,
            access_key_id=row.access_key,
        ),
        referenced_resources=JsonObject(_by_type(row.resources)),
        additional_event_data=JsonObject(_more(detail)),
        error_code=row.error,
        error_message=detail.get("m", ""),
        request_parameters=JsonObject(detail.get("p", {})),
        response_elements=JsonObject(detail.get("a", {})),
    )


def _more(detail: dict[str, Any]) -> dict[str, Any]:
    told = (("ParentAccessKeyId", "f"), ("Count", "n"), ("OthersRefused", "o"))
    return {"Scheme": "https" if "t" in detail else "http"} | {name: detail[key] for name, key in told if key in detail}


def _by_type(resources: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for word in resources.split():
        prefix, is_name, name = word.partition("=")
        kind = _BY_PREFIX.get(prefix if is_name else word.partition("-")[0])
        if kind is not None:
            found.setdefault(kind, []).append(name or word)
    return found


#: By which events are looked for.
KEYS = (
    *("ServiceName", "EventName", "User", "EventId"),
    *("ResourceType", "ResourceName", "EventRW", "EventAccessKeyId"),
)


def condition(key: str, value: str) -> Condition:
    """That what the *key* of ``KEYS`` is of is *value*."""
    columns = {
        "ServiceName": audit.c.service,
        "EventName": audit.c.name,
        "User": audit.c.caller,
        "EventId": audit.c.id,
        "EventAccessKeyId": audit.c.access_key,
    }
    if key == "EventRW":
        return audit.c.name != "" if value == "Write" else NOTHING
    if key in columns:
        return columns[key] == value
    return _of_type(value) if key == "ResourceType" else _of_name(value)


def _of_type(kind: str) -> Condition:
    """That an event is about a resource of the type."""
    prefix = _PREFIX_OF.get(kind)
    return NOTHING if prefix is None else any_of(_has(f" {prefix}{sign}") for sign in "-=")


def _of_name(name: str) -> Condition:
    """That an event is about the resource of that ID or name."""
    return NOTHING if " " in name else any_of(_has(f"{before}{name} ") for before in " =")


def _has(part: str) -> Condition:
    return audit.c.resources.contains(part, autoescape=True)
