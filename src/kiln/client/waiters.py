"""Waits until a resource has the state that an action leads to.

Looks again when the service tells of a change, and every ten seconds. Where it
tells nothing: after 0.05 s first, then ever less often, at most once a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from typing import Any

from kiln.client.client import ApiFailure, Client
from kiln.client.news import News
from kiln.client.reasons import failure_of
from kiln.client.transport import Unreachable
from kiln.ground.values import dataclass

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0
LOOK_ANYWAY_S = 10.0  #: Where changes are told.

Progress = Callable[
    [int, str], None
]  #: Called after each look with the percentage (0 where none is known) and the state.


class WaitFailed(Exception):
    """The resource will never have the state: it has ended in another one, or is gone.

    ``hint`` is what may be done about it, or empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class WaitTooLong(Exception):
    """The time is over, and the resource is still on its way."""


@dataclass(frozen=True)
class Noun:
    """How a resource is looked at."""

    action: str
    parameter: str
    state: str
    progress: str = ""  #: The field that holds a percentage.
    is_list: bool = True  #: Whether the parameter takes a list of IDs and the answer is a list.
    more: Mapping[str, str] | None = None
    failed: tuple[str, ...] = ()  #: States that lead nowhere.
    resting: tuple[str, ...] = ()  #: States that it stays in by itself; another one than what is waited for is an end.


NOUNS: Mapping[str, Noun] = {
    "image": Noun(
        "DescribeImages",
        "ImageId",
        "Status",
        "Progress",
        more={"Status": "ALL"},
        failed=("CreateFailed",),
        resting=("Available", "Deprecated"),
    ),
    "snapshot": Noun(
        "DescribeSnapshots", "SnapshotIds", "Status", "Progress", failed=("failed",), resting=("accomplished",)
    ),
    "disk": Noun("DescribeDisks", "DiskIds", "Status", resting=("Available", "In_use")),
    "instance": Noun("DescribeInstances", "InstanceIds", "Status", resting=("Running", "Stopped")),
    "task": Noun(
        "DescribeTaskAttribute",
        "TaskId",
        "TaskStatus",
        "TaskProcess",
        is_list=False,
        failed=("Failed",),
        resting=("Finished",),
    ),
}

#: How long a resource may be seen at rest in a state that is not waited for, before that counts as the end. Longer than
#: any pass through such a state: an instance that starts is Stopped for a moment before its machine exists.
RESTING_S = 5.0


def find(client: Client, noun: str, resource: str) -> dict[str, Any] | None:
    """The resource as its Describe action shows it, or None when there is none. Raises what ``Client.call`` raises."""
    how = NOUNS[noun]
    if not how.is_list:
        return client.call(how.action, {how.parameter: resource})
    wants_list = client.catalogue.action(how.action).parameter(how.parameter)
    is_packed = wants_list is not None and wants_list.packed != ""
    given = {how.parameter: [resource] if is_packed else resource, **(how.more or {})}
    return next(iter(client.rows(how.action, given)), None)


def wait(
    client: Client,
    noun: str,
    resource: str,
    until: str | None,
    *,
    progress: Progress | None = None,
    timeout_s: float = 3600.0,
) -> dict[str, Any] | None:
    """The resource once its state is *until*; with None: None, once the resource is gone.

    Raises WaitFailed, WaitTooLong, and what ``Client.call`` raises.
    """
    with closing(client.news(resource)) as news:
        return _wait(client, noun, resource, until, news, progress, timeout_s)


def _wait(  # noqa: PLR0917 - as above, and what tells when to look.
    client: Client,
    noun: str,
    resource: str,
    until: str | None,
    news: News,
    progress: Progress | None,
    timeout_s: float,
) -> dict[str, Any] | None:
    how = NOUNS[noun]
    deadline = time.monotonic() + timeout_s
    pause_s = FIRST_PAUSE_S
    at_rest_since: float | None = None
    while True:
        found = find(client, noun, resource)
        state = str(found[how.state]) if found else ""
        if found is None:
            if until is None:
                return None
            raise WaitFailed(f"{noun} {resource} is gone")
        if progress is not None:
            progress(_percentage(found, how), state)
        if state == until:
            return found
        now = time.monotonic()
        at_rest_since = (at_rest_since or now) if state in how.resting and until is not None else None
        has_come_to_rest = at_rest_since is not None and now - at_rest_since > RESTING_S
        # What has failed stays so, and is in the list until somebody deletes it.
        if (state in how.failed and until is not None) or has_come_to_rest:
            why, hint = _reason(client, resource, found)
            raise WaitFailed(f"{noun} {resource} is {state} and will not be {until}{why}", hint)
        if now > deadline:
            raise WaitTooLong(f"{noun} {resource} is still {state} after {timeout_s:g} s")
        if news.is_live:
            rests_s = LOOK_ANYWAY_S if at_rest_since is None else at_rest_since + RESTING_S - now + FIRST_PAUSE_S
            news.wait(min(LOOK_ANYWAY_S, rests_s, deadline - now + FIRST_PAUSE_S))
            continue
        news.wait(pause_s)
        pause_s = min(LONGEST_PAUSE_S, pause_s * 1.5)


def _percentage(found: Mapping[str, Any], how: Noun) -> int:
    text = str(found.get(how.progress, "")).rstrip("%")
    return int(text) if text.isdecimal() else 0


def _reason(client: Client, resource: str, found: Mapping[str, Any]) -> tuple[str, str]:
    """Why, as the task itself tells it, or else the service, and what may be done; nothing where nobody can tell."""
    steps = found.get("OperationProgressSet", {}).get("OperationProgress", [])
    told, hint = "", ""
    if step := next((step for step in steps if step.get("ErrorMsg")), None):
        code, message = step.get("ErrorCode", ""), step["ErrorMsg"]
        told, hint = f"{code}: {message}", client.catalogue.hint_later(found.get("TaskAction", ""), code, message)
    else:
        # That it failed is what has to be said, whether or not the service can still be asked why.
        with suppress(ApiFailure, Unreachable):
            told, hint = failure_of(client, resource)
    return (f": {told}", hint) if told else ("", "")
