"""``kiln bucket``: whose the buckets are, on the machine where the service's data lies."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from kiln.buckets.port import BUCKET_NAME
from kiln.cli import exits
from kiln.cli.beside import beside
from kiln.cli.exits import Refusal
from kiln.cli.flags import Data, DatabaseAddress
from kiln.cli.grammar import Columns, Json, Quiet, example, group
from kiln.cli.output import Column, View, show_rows
from kiln.service import buckets

app = group()

Name = Annotated[str, typer.Argument(metavar="BUCKET", help="The bucket.")]


@app.command("list", epilog=example("kiln bucket list"))
def show(
    *,
    data: Data = None,
    database: DatabaseAddress = None,
    quiet: Quiet = False,
    wanted: Columns = None,
    as_json: Json = False,
) -> None:
    """List the buckets that belong to an account or that everybody may read."""
    with beside(data, database) as it:
        found = buckets.known(it.database)
    rows = [{"Bucket": one.name, "Account": one.account, "Shared": "yes" if one.is_shared else "no"} for one in found]
    columns = [Column("BUCKET", "Bucket"), Column("ACCOUNT", "Account"), Column("SHARED", "Shared")]
    show_rows(rows, columns, View(as_json=as_json, ids_only=quiet, columns=wanted))


@app.command("give", epilog=example("kiln bucket give images 1000000000000001"))
def give(
    name: Name,
    account: Annotated[str, typer.Argument(help="The account that it shall belong to.")],
    *,
    data: Data = None,
    database: DatabaseAddress = None,
) -> None:
    """Make a bucket an account's, whoever had it. Nobody else can use it any more, unless it is shared."""
    with beside(data, database) as it:
        buckets.give(it.database, _checked(name), account, it.ports.clock())


@app.command("share", epilog=example("kiln bucket share images"))
def share(
    name: Name,
    *,
    off: Annotated[bool, typer.Option("--off", help="Let its own account alone read it again.")] = False,
    data: Data = None,
    database: DatabaseAddress = None,
) -> None:
    """Let every account import from a bucket. Only its own account, if it has one, can export to it."""
    with beside(data, database) as it:
        buckets.share(it.database, _checked(name), it.ports.clock(), is_shared=not off)


def _checked(name: str) -> str:
    if re.fullmatch(BUCKET_NAME, name) is None:
        raise Refusal(f"{name!r} cannot be the name of a bucket", exits.REFUSED)
    return name
