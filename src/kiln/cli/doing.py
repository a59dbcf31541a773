"""Words that do something to what there is, and wait for what that becomes: all of them take the same options."""

from __future__ import annotations

import typer

from kiln.cli import output
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.grammar import DEFAULT_TIMEOUT_S, Json, Region, Timeout, Wait, example
from kiln.cli.session import open_client
from kiln.cli.several import end, try_each
from kiln.cli.spelling import noun_of
from kiln.cli.waiting import Begun, wait_for_outcome


def doing(app: typer.Typer, name: str, takes: Takes, about: str, *examples: str) -> None:
    """Give *app* the word *name*, which calls the action for what its first argument names, one or several."""

    def do(
        given: Given,
        *,
        region: Region = None,
        wait_for_it: Wait = True,
        timeout: Timeout = DEFAULT_TIMEOUT_S,
        as_json: Json = False,
    ) -> None:
        run = _do_each if takes.is_of_several else _do_one
        run(given, timeout if wait_for_it else None, region=region, as_json=as_json)

    do.__doc__ = about
    declared(app, name, takes, example(*examples))(do)


def _do_one(given: Given, timeout_s: float | None, *, region: str | None, as_json: bool) -> None:
    action, argument = given.takes.action, given.takes.arguments[0]
    with open_client(region) as client:
        params = given.resolved(client)
        output.show_made(client.call(action, params), as_json=as_json)
        if timeout_s is not None:
            wait_for_outcome(client, action, Begun(noun_of(argument), params[argument], None), timeout_s)


def _do_each(given: Given, timeout_s: float | None, *, region: str | None, as_json: bool) -> None:
    """Of several all are begun before the first is waited for."""
    action, noun = given.takes.action, noun_of(given.takes.arguments[0])
    with open_client(region) as client:
        ids, unknown = try_each(given.several, lambda it: given.id_of(client, it))
        answers, refused = try_each(dict.fromkeys(ids.values()), lambda it: given.call(client, it))
        failed = None
        if timeout_s is not None:
            wait_s = timeout_s
            _, failed = try_each(answers, lambda it: wait_for_outcome(client, action, Begun(noun, it, None), wait_s))
    output.show_made(list(answers.values()), as_json=as_json)
    end(unknown, refused, failed)
