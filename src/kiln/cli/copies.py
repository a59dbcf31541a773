"""The word ``copy``, which is the same for everything that has copies in other regions."""

from __future__ import annotations

from kiln.cli import output
from kiln.cli.declared import Given
from kiln.cli.naming import NAMED
from kiln.cli.session import open_client
from kiln.cli.waiting import Begun, wait_for_outcome


def copy(given: Given, noun: str, undo: str, *, region: str | None, timeout_s: float | None, as_json: bool) -> None:
    """Copy a *noun*, print the copy's ID, and wait for it in its own region unless *timeout_s* is None.

    *undo* is the word that takes back a copy that is still being made.
    """
    action = given.takes.action
    with open_client(region) as client:
        answer = client.call(action, given.resolved(client))
    made = answer[NAMED[noun].id]
    output.show_made(answer, made, as_json=as_json)
    if timeout_s is not None:
        with open_client(given.params.get("DestinationRegionId") or region) as client:
            wait_for_outcome(client, action, Begun(noun, made, None, f"kiln {noun} {undo} {made}"), timeout_s)
