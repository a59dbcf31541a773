"""Words that do no more than their action: it is called with what was said, and its answer is shown."""

from __future__ import annotations

from typing import Any

from kiln.cli import output
from kiln.cli.declared import Given
from kiln.cli.session import open_client
from kiln.cli.several import end, try_each


def call(given: Given, region: str | None, *made: str, as_json: bool) -> dict[str, Any]:
    """Call the word's action once, and return its answer, of which *made* are the fields that name what it made."""
    with open_client(region) as client:
        answer = client.call(given.takes.action, given.resolved(client))
    output.show_made(answer, *(answer[field] for field in made), as_json=as_json)
    return answer


def call_each(given: Given, region: str | None, *, as_json: bool) -> None:
    """Call the word's action for each of the several, and end with the first failure's code if there was one."""
    with open_client(region) as client:
        answers, failed = try_each(given.several, lambda it: given.call(client, it))
    output.show_made(list(answers.values()), as_json=as_json)
    end(failed)
