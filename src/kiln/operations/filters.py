"""Filters that lists of several sorts share: by tags and by the time of creation. All that are sent must hold."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from kiln.declare.errors import ApiError
from kiln.declare.rules import Alias, Doc, Example, KeepEmpty
from kiln.declare.shapes import shape
from kiln.ground.clock import span_of
from kiln.operations.params import FilterInput
from kiln.store import tags
from kiln.store.conditions import NOTHING, Condition
from kiln.store.rows import Rows


class InvalidFilterKeyNotFound(ApiError):
    """A Filter.N.Key that the operation does not know."""

    code = "InvalidFilterKey.NotFound"
    status = 404
    message = "The specified Filter Key is not found."


class InvalidFilterValue(ApiError):
    """A Filter.N.Value of the wrong form."""

    code = "InvalidFilterValue"
    status = 404
    message = "The specified Filter Value is not valid."


class InvalidLockReasonNotFound(ApiError):
    """The lock reason is none of the documented ones."""

    code = "InvalidLockReason.NotFound"
    status = 404
    message = "The specified LockReason is not found."


class InvalidStatusNotFound(ApiError):
    """The status is none of the documented ones."""

    code = "InvalidStatus.NotFound"
    status = 404
    message = "The specified Status is not found."


class InvalidTagMismatch(ApiError):
    """A tag to filter by has a value and no key."""

    code = "InvalidTag.Mismatch"
    message = "The specified Tag.n.Key and Tag.n.Value are not match."


@shape
class TagFilter:
    """One tag to look for. Any text may be looked for, also one that no tag can have."""

    key: Annotated[
        str | None, Alias("key"), Example("KeyTest"), Doc("The key. The lower-case spelling is deprecated.")
    ] = None
    value: Annotated[
        str | None,
        Alias("value"),
        KeepEmpty(),
        Example("ValueTest"),
        Doc("The value. When it is not sent, any will do. The lower-case spelling is deprecated."),
    ] = None


def by_nothing(given: Collection[Any] | None) -> list[Condition]:
    """That nothing passes, when the list that was sent is empty. Whoever made it found nothing to ask for."""
    return [NOTHING] if given is not None and not given else []


def by_tags(resource_type: str, rows: Rows[Any], given: Collection[TagFilter] | None) -> list[Condition]:
    """That a row has every one of the tags. Raises InvalidTagMismatch."""
    conditions = by_nothing(given)
    for tag in given or ():
        if tag.key is None:
            raise InvalidTagMismatch
        conditions.append(tags.tagged(resource_type, rows.c.id, tag.key, tag.value))
    return conditions


def by_creation(
    rows: Rows[Any],
    given: Collection[FilterInput] | None,
    unknown: type[ApiError] = InvalidFilterKeyNotFound,
    malformed: type[ApiError] = InvalidFilterValue,
) -> list[Condition]:
    """That a row was made between CreationStartTime and CreationEndTime. An end to the minute takes the minute in.

    Raises *unknown* for another key, *malformed* for a value that is no time.
    """
    conditions = by_nothing(given)
    for one in given or ():
        if one.key not in ("CreationStartTime", "CreationEndTime"):
            raise unknown(key=one.key)
        span = span_of(one.value or "")
        if span is None:
            raise malformed(value=one.value)
        start, end = span
        conditions.append(rows.c.created_at >= start if one.key == "CreationStartTime" else rows.c.created_at < end)
    return conditions
