"""List the webhooks of the account, the newest first, and how each of them fares.

This is an operation of Kiln's own.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example
from kiln.declare.shapes import shape
from kiln.ground.clock import to_milliseconds_text, to_seconds_text
from kiln.operations.paging import page
from kiln.operations.params import PageNumber, PageSize50
from kiln.operations.webhooks.parts.named import NoRegionId, WebhookId
from kiln.store.webhooks import NEWEST, Webhook, held_up, waiting, webhooks


@shape
class Input:
    region_id: NoRegionId = None
    webhook_id: WebhookId | None = None
    page_number: PageNumber | None = None
    page_size: PageSize50 | None = None


@shape
class TypesOutput:
    """Types of events."""

    type: Annotated[tuple[str, ...], Doc("The types; none: all.")]


@shape
class WebhookOutput:
    """One webhook."""

    webhook_id: Annotated[str, Doc("The ID.")]
    url: Annotated[str, Example("https://events.example.com/kiln"), Doc("Where it is told.")]
    types: Annotated[TypesOutput, Doc("Of which events.")]
    status: Annotated[str, Example("On"), Doc("`On`; or `Off`, after it has failed for days or answered 410.")]
    reason: Annotated[str, Doc("Why it is off; empty where it is on.")]
    creation_time: Annotated[str, Example("2026-11-23T06:07:05Z"), Doc("When it was made, UTC.")]
    waiting_count: Annotated[int, Doc("Events that are still to be told.")]
    held_count: Annotated[
        int, Doc("Those of them that wait since one of their resource failed, which is tried again, and that one.")
    ]
    delivered_count: Annotated[int, Doc("Events that were told.")]
    missed_count: Annotated[int, Doc("Events that were given up: they were too many, too old, or refused too often.")]
    last_try_time: Annotated[
        str, Example("2026-11-23T06:07:05.123Z"), Doc("When it was last tried, UTC; empty: never.")
    ]
    last_status: Annotated[int, Example("200"), Doc("The HTTP status of its last answer; 0 where none came.")]
    last_error: Annotated[str, Doc("Why the last try failed; empty where it succeeded.")]
    next_try_time: Annotated[str, Doc("When it is tried again after a failure, UTC; empty where nothing is put off.")]


@shape
class WebhooksOutput:
    """Webhooks."""

    webhook: Annotated[tuple[WebhookOutput, ...], Doc("The webhooks of this page.")]


@shape
class Output:
    webhooks: Annotated[WebhooksOutput, Doc("The webhooks.")]
    total_count: Annotated[int, Doc("How many webhooks there are on all pages.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]


def check(call: Call, p: Input) -> Output:
    wanted = [] if p.webhook_id is None else [webhooks.c.id == p.webhook_id]
    found = page(call, p, webhooks, NEWEST, wanted, account=call.account)
    ids = [row.id for row in found.rows]
    counts, held = waiting(call.tx, ids), held_up(call.tx, ids)
    return Output(
        webhooks=WebhooksOutput(webhook=tuple(_draw(row, counts[row.id], held[row.id]) for row in found.rows)),
        total_count=found.total,
        page_number=found.number,
        page_size=found.size,
    )


def _draw(row: Webhook, count: int, held: int) -> WebhookOutput:
    return WebhookOutput(
        webhook_id=row.id,
        url=row.url,
        types=TypesOutput(type=tuple(filter(None, row.types.split(",")))),
        status="On" if row.is_on else "Off",
        reason=row.why_off,
        creation_time=to_seconds_text(row.created_at),
        waiting_count=count,
        held_count=held,
        delivered_count=row.delivered,
        missed_count=row.missed + row.missed_before,
        last_try_time=to_milliseconds_text(row.tried_at) if row.tried_at else "",
        last_status=row.last_status,
        last_error=row.last_error,
        next_try_time=to_seconds_text(row.not_before) if row.not_before and row.is_on else "",
    )


describe_webhooks = Operation(input=Input, output=Output, check=check)
