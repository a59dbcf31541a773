"""A change of state as a CloudEvent: the one shape that the stream and webhooks tell.

What EventBridge publishes of ECS has its types, its source and its fields of
``data``, so that who reads those reads these; what it publishes nothing of, as
images, has types that begin with ``kiln:``.
Sources: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md,
https://www.alibabacloud.com/help/en/eventbridge/user-guide/ecs-events,
https://www.alibabacloud.com/help/en/ecs/user-guide/snapshot-event-notifications.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from kiln.declare.states import SnapshotStatus
from kiln.ground.clock import to_milliseconds_text

MEDIA_TYPE = "application/cloudevents+json"  #: Of one event in the structured form.

DELETED = "Deleted"  #: The state of what is gone.

_INITIATED, _COMPLETED, _GONE = (
    "ecs:Snapshot:CreateSnapshotInitiated",
    "ecs:Snapshot:CreateSnapshotCompleted",
    "ecs:Snapshot:SnapshotDeleted",
)

#: What changes can be told of: the word of it in types and resource types, and the product and the word in its ARN.
_NOUNS = {
    "image": ("Image", "ALIYUN::ECS::CustomImage", "ecs"),
    "snapshot": ("Snapshot", "ALIYUN::ECS::Snapshot", "ecs"),
    "disk": ("Disk", "ALIYUN::ECS::Disk", "ecs"),
    "instance": ("Instance", "ALIYUN::ECS::Instance", "ecs"),
    "task": ("Task", "KILN::ECS::Task", "ecs"),
    "eip": ("Eip", "ALIYUN::VPC::EIP", "vpc"),
    "invocation": ("Invocation", "ALIYUN::ECS::Invocation", "ecs"),
}

#: Every type of a change of state.
STATE_TYPES = (
    "ecs:Instance:StateChange",
    *(_INITIATED, _COMPLETED, _GONE),
    *(f"kiln:{word}:StateChange" for noun, (word, *_) in _NOUNS.items() if noun not in ("instance", "snapshot")),
)

#: Told by the stream alone: the state stays, and something else can be seen, such as a percentage.
PROGRESS_TYPES = ("kiln:Image:ProgressChange", "kiln:Snapshot:ProgressChange", "kiln:Task:ProgressChange")


class Changed(Protocol):
    """What happened to a resource, as the store tells it."""

    @property
    def noun(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def old(self) -> str | None: ...
    @property
    def new(self) -> str | None: ...
    @property
    def account(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def name(self) -> str: ...


def type_of(noun: str, old: str | None, new: str | None) -> str:
    """The type of the event that tells of a change."""
    word, *_ = _NOUNS[noun]
    if old == new:
        return f"kiln:{word}:ProgressChange"
    if noun == "snapshot":
        if new is None:
            return _GONE
        return _INITIATED if new == SnapshotStatus.PROGRESSING else _COMPLETED
    return f"{'ecs' if noun == 'instance' else 'kiln'}:{word}:StateChange"


def cloud_event(change: Changed, event_id: str, when: float) -> dict[str, Any]:
    """The event that tells of *change*, which happened at *when* (seconds since the epoch)."""
    kind = type_of(change.noun, change.old, change.new)
    _, resource_type, product = _NOUNS[change.noun]
    data: dict[str, Any] = {
        "resourceId": change.id,
        "resourceType": resource_type,
        "resourceName": change.name,
        "state": DELETED if change.new is None else change.new,
        "previousState": change.old,
    }
    if change.noun == "snapshot":
        data |= {"snapshotId": change.id, "snapshotName": change.name}
        if kind == _COMPLETED:
            data["result"] = change.new
    subject = f"acs:{product}:{change.region}:{change.account}:{change.noun}/{change.id}"
    return _enveloped(kind, event_id, when, change.account, subject=subject, region=change.region, data=data)


def own_event(
    kind: str, event_id: str, when: float, *, account: str, subject: str, data: dict[str, Any]
) -> dict[str, Any]:
    """An event of no resource: what Kiln has to say of its own telling."""
    return _enveloped(kind, event_id, when, account, subject=subject, region="", data=data)


def written(event: dict[str, Any]) -> bytes:
    """The event in the structured JSON form, on one line."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _enveloped(
    kind: str, event_id: str, when: float, account: str, *, subject: str, region: str, data: dict[str, Any]
) -> dict[str, Any]:
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": "acs.ecs" if kind.startswith("ecs:") else "kiln",
        "type": kind,
        "subject": subject,
        "time": to_milliseconds_text(when),
        "datacontenttype": "application/json",
        "aliyunaccountid": account,
    }
    if region:
        # An attribute of CloudEvents that is there has a value.
        event["aliyunregionid"] = region
    return event | {"data": data}
