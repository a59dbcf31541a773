"""``kiln call``: any action there is, by its own name, with its own parameters."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from kiln.cli import output
from kiln.cli.grammar import Region, example, group
from kiln.cli.session import open_client
from kiln.client import catalogue
from kiln.client.catalogue import Action, Part
from kiln.client.parameters import advice
from kiln.ground.prose import fold
from kiln.service.terminal import terminal_room

app = group()

_WIDTH = 78  #: Of what is explained, so that it fits a usual terminal and can be read on a wide one.

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
            _show(f"{name.ljust(width)}  {known.summary(name)}", terminal_room(sys.stdout), width + 2)
    elif action not in known:
        meant = advice(action, known.names)
        raise typer.BadParameter(f"there is no action {action}{meant or ';'} `kiln call --list` lists all")
    elif wants_help:
        room = min(terminal_room(sys.stdout) or _WIDTH, _WIDTH)
        for line, indent in describe(known.action(action)):
            _show(line, room, indent)
    else:
        with open_client(region) as client:
            output.show_json(client.call(action, _pairs(parameters or ())))


def _show(line: str, room: int, indent: int) -> None:
    for folded in fold(line, room, indent):
        output.show_line(folded)


def describe(action: Action) -> Iterator[tuple[str, int]]:
    """What an action does, takes and answers, in lines; with each, how far in it goes on where it is folded."""
    yield f"kiln call {action.name} NAME=VALUE...", 0
    yield "", 0
    yield action.summary, 0
    for paragraph in action.doc.split("\n\n") if action.doc else ():
        yield "", 0
        yield " ".join(paragraph.split()), 0
    yield from (("", 0), ("Parameters:", 0))
    for part in action.request.parts:
        if part.name not in _NOT_SHOWN:
            yield from _describe(part, "")
    if action.answer.parts:
        yield from (("", 0), ("Answer:", 0))
        for part in action.answer.parts:
            yield f"  {part.name:24}{part.doc}".rstrip(), 26
    yield from (("", 0), ("Errors:", 0))
    for fault in action.faults:
        yield f"  {fault.status} {fault.code}: {fault.when}", 6


def _describe(part: Part, under: str) -> Iterator[tuple[str, int]]:
    name = under + part.name + (".N" if part.is_repeated and not part.packed else "")
    if part.parts:
        for inner in part.parts:
            yield from _describe(inner, name + ".")
        return
    facts = [part.type, *(["required"] if part.is_required else []), *part.rules]
    if part.default:
        facts.append(f"default {part.default}")
    yield f"  {name} ({'; '.join(facts)})", 6
    doc = f"{part.doc} Has no effect: {part.no_effect}" if part.no_effect else part.doc
    if doc:
        yield f"      {doc}", 6


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for name, value in map(_pair, texts):
        if pairs.setdefault(name, value) != value:
            raise typer.BadParameter(f"{name} is given twice with different values")
    return pairs


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE")
    return name, value
