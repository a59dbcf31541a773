"""Tell who changed what: the account's calls that changed something or were refused, the newest first.

A call that took effect is written down with what it changed, so there is none
without its event. Calls that were refused follow within some seconds, and those
that are alike are one event, which counts them (`additionalEventData.Count`).
Calls that only read, and dry runs, are no events. Secrets are `******`.

Events of all regions are told, whichever is asked. They are kept for as long as
the settings `audit_days` and `audit_events` say.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import InvalidParameter
from kiln.declare.operation import Operation
from kiln.declare.rules import Between, Count, Doc, Example, OneOf
from kiln.declare.shapes import shape
from kiln.ground.clock import span_of, to_seconds_text
from kiln.ground.units import DAY_S
from kiln.operations.audit.parts.events import KEYS, EventOutput, condition, draw
from kiln.operations.filters import by_nothing
from kiln.operations.paging import open_position, seal_position
from kiln.operations.params import NextToken
from kiln.store.audit import audit, order
from kiln.store.conditions import Condition
from kiln.store.order import is_below, position_of

_DEFAULT_SPAN_S = 7 * DAY_S
_DEFAULT_RESULTS = 20


@shape
class LookupAttributeInput:
    """A condition."""

    key: Annotated[
        str, OneOf(KEYS), Example("ResourceName"), Doc("What is compared: ResourceType is such as ACS::ECS::Image.")
    ]
    value: Annotated[str, Example("m-bp146shijn7hujku8a5c"), Doc("What it has to be, letter by letter.")]


@shape
class Input:
    lookup_attribute: Annotated[
        tuple[LookupAttributeInput, ...] | None,
        Count(len(KEYS)),
        Doc("Only events of which all of these hold. The public service takes two at most."),
    ] = None
    start_time: Annotated[
        str | None,
        Example("2026-11-23T00:00:00Z"),
        Doc("Only events from then on; seven days before EndTime when not given."),
    ] = None
    end_time: Annotated[
        str | None,
        Example("2026-11-24T00:00:00Z"),
        Doc("Only events up to then, the whole second; now when not given."),
    ] = None
    direction: Annotated[
        str,
        OneOf(("FORWARD", "BACKWARD")),
        Doc("FORWARD: the oldest first. BACKWARD: the newest first."),
    ] = "BACKWARD"
    max_results: Annotated[
        int | None, Between(0, 50), Example("20"), Doc("Events an answer; 20 for 0, and when not given.")
    ] = None
    next_token: NextToken | None = None


@shape
class Output:
    events: Annotated[tuple[EventOutput, ...], Doc("The events.")]
    next_token: Annotated[str, Doc("To be sent for what follows; empty where nothing does.")]
    start_time: Annotated[str, Example("2026-11-16T06:07:05Z"), Doc("From when on was looked.")]
    end_time: Annotated[str, Example("2026-11-23T06:07:05Z"), Doc("Up to when.")]


def check(call: Call, p: Input) -> Output:
    start, end = _span(call, p)
    forward = order(falls=p.direction == "BACKWARD")
    conditions = [audit.c.at >= start, audit.c.at < end, *_conditions(p.lookup_attribute)]
    if p.next_token:
        position = open_position(call, p, p.next_token, [key.kind for key in forward])
        if position is None:
            rule = "must be the NextToken of the answer before, to the same query"
            raise InvalidParameter(parameter="NextToken", rule=rule)
        conditions.append(is_below(forward, position))
    size = p.max_results or _DEFAULT_RESULTS
    found = audit.page(call.tx, *conditions, order=forward, limit=size + 1, account=call.account)
    goes_on = len(found) > size
    return Output(
        events=tuple(draw(row) for row in found[:size]),
        next_token=seal_position(call, p, position_of(forward, found[size - 1])) if goes_on else "",
        start_time=to_seconds_text(start),
        end_time=to_seconds_text(min(end, call.now)),
    )


def _span(call: Call, p: Input) -> tuple[float, float]:
    """From when to when is looked, the end excluded."""
    end = _second("EndTime", p.end_time)[1] if p.end_time else call.now + 1
    # Nothing was before the epoch, and there are times after which seven days before is no year.
    start = _second("StartTime", p.start_time)[0] if p.start_time else max(0.0, end - _DEFAULT_SPAN_S)
    return start, end


def _second(parameter: str, text: str) -> tuple[float, float]:
    span = span_of(text)
    if span is None:
        raise InvalidParameter(parameter=parameter, rule="must be a time such as 2026-11-23T06:07:05Z")
    return span


def _conditions(given: tuple[LookupAttributeInput, ...] | None) -> list[Condition]:
    return by_nothing(given) + [condition(one.key, one.value) for one in given or ()]


lookup_events = Operation(input=Input, output=Output, check=check)
