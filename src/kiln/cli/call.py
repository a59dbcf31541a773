"""``kiln call``: any action there is, by its own name, with its own parameters."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Annotated

import typer

from kiln.cli import output
from kiln.cli.grammar import Region, example, group
from kiln.cli.session import open_client
from kiln.client import catalogue
from kiln.client.catalogue import Action, Part

app = group()

_WIDTH = 100

#: Parameters of every action that mean nothing to a person.
_NOT_SHOWN = ("OwnerId", "OwnerAccount", "ResourceOwnerId", "ResourceOwnerAccount")

ActionName = Annotated[str | None, typer.Argument(help="The action; without one, all are listed.", metavar="ACTION")]
Parameters = Annotated[
    list[str] | None, typer.Argument(help="Parameters, such as Tag.1.Key=web.", metavar="NAME=VALUE")
]
ListAll = Annotated[bool, typer.Option("--list", help="List all actions.")]
Help = Annotated[
    bool, typer.Option("--help", "-h", help="Show this; after ACTION, what that action takes and answers.")
]

_EXAMPLE = example(
    "kiln call DescribeImages Status=ALL PageSize=50",
    "kiln call CreateImage SnapshotId=s-bp17441ohwkdca0fg1tq ImageName=web-1",
    "kiln call CreateImage --help",
)


@app.command("call", epilog=_EXAMPLE, context_settings={"help_option_names": []})
def call(
    context: typer.Context,
    action: ActionName = None,
    parameters: Parameters = None,
    *,
    list_all: ListAll = False,
    region: Region = None,
    wants_help: Help = False,
) -> None:
    """Call any action of the API, and print its answer as JSON.

    Parameters are spelled as in the reference. RegionId is filled in, and so is
    ClientToken where the action takes one.
    """
    known = catalogue.load()
    if action is None and wants_help:
        output.show_text(context.get_help())
    elif action is None or list_all:
        width = max(len(name) for name in known.names)
        for name in known.names:
            output.show_line(f"{name.ljust(width)}  {known.summary(name)}")
    elif action not in known:
        raise typer.BadParameter(f"there is no action {action}; `kiln call --list` lists all")
    elif wants_help:
        for line in describe(known.action(action)):
            output.show_line(line)
    else:
        with open_client(region) as client:
            output.show_json(client.call(action, dict(map(_pair, parameters or ()))))


def describe(action: Action) -> Iterator[str]:
    """What an action does, takes and answers, in lines."""
    yield f"kiln call {action.name} NAME=VALUE..."
    yield ""
    yield from textwrap.wrap(action.summary, _WIDTH)
    if action.doc:
        yield ""
        yield from action.doc.splitlines()
    yield from ("", "Parameters:")
    for part in action.request.parts:
        if part.name not in _NOT_SHOWN:
            yield from _describe(part, "")
    if action.answer.parts:
        yield from ("", "Answer:")
        for part in action.answer.parts:
            yield f"  {part.name:24}{part.doc}".rstrip()
    yield from ("", "Errors:")
    for fault in action.faults:
        yield from textwrap.wrap(
            f"{fault.status} {fault.code}: {fault.when}", _WIDTH, initial_indent="  ", subsequent_indent="      "
        )


def _describe(part: Part, under: str) -> Iterator[str]:
    name = under + part.name + (".N" if part.is_repeated and not part.packed else "")
    if part.parts:
        for inner in part.parts:
            yield from _describe(inner, name + ".")
        return
    facts = [part.type, *(["required"] if part.is_required else []), *part.rules]
    if part.default:
        facts.append(f"default {part.default}")
    yield f"  {name} ({'; '.join(facts)})"
    doc = f"{part.doc} Has no effect: {part.no_effect}" if part.no_effect else part.doc
    yield from textwrap.wrap(doc, _WIDTH, initial_indent="      ", subsequent_indent="      ")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE")
    return name, value
