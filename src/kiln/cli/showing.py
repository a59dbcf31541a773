"""The word ``show``: all that is known of a resource, and why it is not as it was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from kiln.cli import exits, output
from kiln.cli.completing import of_noun
from kiln.cli.exits import Refusal
from kiln.cli.grammar import Json, Region, example
from kiln.cli.naming import NAMED, in_region, region_of, rows, said_of, to_id
from kiln.cli.session import open_client
from kiln.client import waiters
from kiln.client.client import ApiFailure, Client
from kiln.client.reasons import hint_of, reasons


def showing(app: typer.Typer, noun: str, about: str, sample: str) -> None:
    """Give *app* the word ``show`` for one resource of a *noun*."""
    given = typer.Argument(
        help=f"The {noun}'s ID, the beginning of one, or a name.", metavar=noun.upper(), autocompletion=of_noun(noun)
    )
    resource_of = Annotated[str, given]

    def show(resource: str, *, region: Region = None, as_json: Json = False) -> None:
        with open_client(region) as client:
            wanted = to_id(client, noun, resource)
            found = _find(client, noun, wanted)
            told = reasons(client, wanted)
            if found is None and not told["Reasons"]["Reason"]:
                raise _absent(client, noun, resource)
            shown: dict[str, Any] = {**(found or {}), **({"SSH": told["Ssh"]} if told.get("Ssh") else {})}
            if told.get("Network"):
                shown |= {"Network": told["Network"], "ReachedAt": told["ReachedAt"]}
            if told.get("Consistency"):
                shown["Consistency"] = told["Consistency"]
            shown["Reasons"] = {"Reason": [_advised(client, one) for one in told["Reasons"]["Reason"]]}
            output.show_found(shown, f"{noun} {resource}", as_json=as_json)

    show.__doc__ = about
    show.__annotations__["resource"] = resource_of
    app.command("show", epilog=example(sample))(show)


def showing_rows(app: typer.Typer, noun: str, about: str, sample: str) -> None:
    """Give *app* the word ``show`` for one resource of a *noun* of which its list says all that is known."""
    how, said = NAMED[noun], said_of(noun)
    metavar = noun.rpartition("_")[2].upper()
    given = typer.Argument(
        help=f"The {said}'s ID, the beginning of one, or a name.", metavar=metavar, autocompletion=of_noun(noun)
    )

    def show(resource: str, *, region: Region = None, as_json: Json = False) -> None:
        with open_client(region) as client:
            found = next(rows(client, noun, **{how.id: to_id(client, noun, resource)}), None)
            if found is None:
                raise _absent(client, noun, resource)
        output.show_found(found, f"{said} {resource}", as_json=as_json)

    show.__doc__ = about
    show.__annotations__["resource"] = Annotated[str, given]
    app.command("show", epilog=example(sample))(show)


def _absent(client: Client, noun: str, resource: str) -> Refusal:
    region = region_of(client, noun, resource)
    hint = in_region(resource, region) if region else ""
    return Refusal(f"there is no {said_of(noun)} {resource}", exits.REFUSED, hint)


def _advised(client: Client, reason: Mapping[str, Any]) -> Mapping[str, Any]:
    """A reason, with what may be done about it where the catalogue knows."""
    hint = hint_of(client.catalogue, reason)
    return {**reason, "Hint": hint} if hint else reason


def _find(client: Client, noun: str, resource: str) -> Mapping[str, Any] | None:
    if noun != "task":
        return waiters.find(client, noun, resource)
    try:
        return client.call("DescribeTaskAttribute", TaskId=resource)
    except ApiFailure as failure:
        # Tasks that are no imports and exports are shown by their reasons alone.
        if failure.code == "InvalidTaskId.NotFound":
            return None
        raise
