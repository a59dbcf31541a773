"""What the words do that make one resource: call the action, print the ID of what it makes, and wait for that."""

from __future__ import annotations

from kiln.cli import output
from kiln.cli.declared import Given
from kiln.cli.naming import NAMED
from kiln.cli.session import open_client
from kiln.cli.waiting import Begun, wait_for_outcome


def make(
    given: Given, noun: str, *, region: str | None, timeout_s: float | None, as_json: bool, undo: str = "delete"
) -> None:
    """Make a *noun*, and wait for it unless *timeout_s* is None: in the region of the copy, where it is one.

    *undo* is the word that takes back what is still being made.
    """
    action = given.takes.action
    with open_client(region) as client:
        answer = client.call(action, given.resolved(client))
    made = answer[NAMED[noun].id]
    output.show_made(answer, made, as_json=as_json)
    if timeout_s is not None:
        with open_client(given.params.get("DestinationRegionId") or region) as client:
            wait_for_outcome(client, action, Begun(noun, made, None, f"kiln {noun} {undo} {made}"), timeout_s)
