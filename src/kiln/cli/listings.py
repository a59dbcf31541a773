"""The word ``list``, which is the same for everything that the service lists."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from kiln.cli import output
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.grammar import Columns, JsonOfAll, Quiet, Region, example
from kiln.cli.output import Column, View
from kiln.cli.session import open_client
from kiln.client import catalogue
from kiln.client.catalogue import Part

#: How the names of fields end that hold what somebody wrote.
_PROSE = ("Name", "Description")


def listing(
    app: typer.Typer, takes: Takes, columns: Sequence[Column], about: str, *examples: str, name: str = "list"
) -> None:
    """Give *app* the word *name*, which prints every row of the action's answer."""

    def show(
        given: Given, *, quiet: Quiet = False, wanted: Columns = None, region: Region = None, as_json: JsonOfAll = False
    ) -> None:
        view = View(as_json=as_json, ids_only=quiet, columns=wanted)
        found = catalogue.load().action(takes.action).listing
        fields = [Column(part.name, part.name, is_prose=_is_prose(part)) for part in found[1].parts] if found else []
        view.chosen(columns, fields)  # What is not understood is refused before anything is asked.
        with open_client(region) as client:
            output.show_rows(client.rows(takes.action, given.resolved(client)), columns, view, fields)

    show.__doc__ = about
    declared(app, name, takes, example(*examples))(show)


def _is_prose(field: Part) -> bool:
    """Whether a field says something without its end; IDs, addresses, times and states do not."""
    return field.type == "object" or field.name.endswith(_PROSE)
