"""``kiln bucket``: whose the buckets are, on the machine where the service's data lies."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from kiln.buckets.port import BUCKET_NAME
from kiln.cli import exits
from kiln.cli.beside import beside, settings_there
from kiln.cli.exits import Refusal
from kiln.cli.flags import Data, DatabaseAddress, Shared
from kiln.cli.grammar import Columns, Json, Quiet, example, group
from kiln.cli.output import Column, View, show_line, show_rows
from kiln.cli.uploads import bucket_folder
from kiln.service import buckets

app = group()

Name = Annotated[str, typer.Argument(metavar="BUCKET", help="The bucket.")]


@app.command("list", epilog=example("kiln bucket list"))
def show(
    *,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
    quiet: Quiet = False,
    wanted: Columns = None,
    as_json: Json = False,
) -> None:
    """List the buckets. One without an account becomes that of the first who uses it."""
    with beside(data, database, shared) as it:
        found = buckets.known(it.database)
        folders = _folders(settings_there(data, database, shared).folder.buckets)
    rows = [{"Bucket": one.name, "Account": one.account, "Shared": "yes" if one.is_shared else "no"} for one in found]
    owned = {one.name for one in found}
    rows += [{"Bucket": name, "Account": "", "Shared": "no"} for name in folders if name not in owned]
    columns = [Column("BUCKET", "Bucket"), Column("ACCOUNT", "Account"), Column("SHARED", "Shared")]
    show_rows(rows, columns, View(as_json=as_json, ids_only=quiet, columns=wanted))


@app.command("create", epilog=example("kiln bucket create images", "kiln bucket create images 1000000000000001"))
def create(
    name: Name,
    account: Annotated[
        str | None,
        typer.Argument(metavar="ACCOUNT", help="The account that it shall belong to; else the first that uses it."),
    ] = None,
    *,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
) -> None:
    """Make a bucket, and print its folder, into which files can be put."""
    with beside(data, database, shared) as it:
        there = {one.name for one in buckets.known(it.database)}
        folder = settings_there(data, database, shared).folder.buckets
        if _checked(name) in {*there, *_folders(folder)}:
            raise Refusal(f"there is a bucket {name} already", exits.REFUSED, "`kiln bucket list` shows whose it is.")
        if account is not None:
            buckets.give(it.database, name, account, it.clock())
    show_line(str(bucket_folder(folder.parent, name)))


@app.command("give", epilog=example("kiln bucket give images 1000000000000001"))
def give(
    name: Name,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account that it shall belong to.")],
    *,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
) -> None:
    """Make a bucket an account's, whoever had it. Nobody else can use it any more, unless it is shared."""
    with beside(data, database, shared) as it:
        buckets.give(it.database, _checked(name), account, it.clock())


@app.command("share", epilog=example("kiln bucket share images"))
def share(
    name: Name,
    *,
    off: Annotated[bool, typer.Option("--off", help="Let its own account alone read it again.")] = False,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
) -> None:
    """Let every account import from a bucket. Only its own account, if it has one, can export to it."""
    with beside(data, database, shared) as it:
        buckets.share(it.database, _checked(name), it.clock(), is_shared=not off)


def _folders(root: Path) -> list[str]:
    """The buckets that are folders of this machine, by name."""
    if not root.is_dir():
        return []
    return sorted(one.name for one in root.iterdir() if one.is_dir() and re.fullmatch(BUCKET_NAME, one.name))


def _checked(name: str) -> str:
    if re.fullmatch(BUCKET_NAME, name) is None:
        hint = "It has 1 to 63 lower-case letters, digits and hyphens, and no hyphen first or last."
        raise Refusal(f"{name!r} cannot be the name of a bucket", exits.REFUSED, hint)
    return name
