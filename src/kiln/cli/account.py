"""``kiln account``: more accounts, users and resource groups, on the machine where the service's data lies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from kiln.cli import exits
from kiln.cli.exits import Refusal
from kiln.cli.flags import Data
from kiln.cli.grammar import Json, example, group
from kiln.cli.output import Column, show_json, show_line, show_rows
from kiln.service import accounts
from kiln.service.accounts import AccountUnknown, AlreadyThere
from kiln.service.assemble import Assembly, assemble
from kiln.service.settings import read_settings

app = group()


@app.command("list", epilog=example("kiln account list"))
def show(*, data: Data = None, as_json: Json = False) -> None:
    """List the accounts."""
    with _assembly(data) as it:
        rows = [{"Account": account, "Name": name} for account, name in accounts.names(it.database).items()]
    show_rows(rows, [Column("ACCOUNT", "Account"), Column("NAME", "Name")], as_json=as_json)


@app.command("add", epilog=example("kiln account add team-b"))
def add(
    name: Annotated[str, typer.Argument(help="What to call it.")], *, data: Data = None, as_json: Json = False
) -> None:
    """Make another account, and show its keys, this once."""
    with _assembly(data) as it:
        keys = accounts.add_account(it.database, it.sealer, name, it.ports.clock())
    facts = {
        "Account": keys.account,
        "AccessKeyId": keys.access_key_id,
        "AccessKeySecret": keys.access_key_secret,
        "AppKey": keys.app_key,
        "AppSecret": keys.app_secret,
    }
    if as_json:
        show_json(facts)
    else:
        for field, value in facts.items():
            show_line(f"{field:16} {value}")


@app.command("add-user", epilog=example("kiln account add-user 1000000000000001 support@example.com"))
def add_user(
    account: Annotated[str, typer.Argument(help="The account.")],
    email: Annotated[str, typer.Argument(help="What the user sends as UserEmail.")],
    *,
    data: Data = None,
) -> None:
    """Name a user of an account; from then on the Apsara route wants a UserEmail that is known."""
    with _assembly(data) as it:
        accounts.add_user(it.database, account, email)


@app.command("add-resource-group", epilog=example("kiln account add-resource-group 1000000000000001 rg-web"))
def add_resource_group(
    account: Annotated[str, typer.Argument(help="The account.")],
    group_id: Annotated[str, typer.Argument(metavar="ID", help="The ID, such as rg-web.")],
    *,
    data: Data = None,
) -> None:
    """Make a resource group."""
    with _assembly(data) as it:
        accounts.add_resource_group(it.database, account, group_id)


@contextmanager
def _assembly(data: Path | None) -> Iterator[Assembly]:
    """The database beside a server that may be running: single rows are added, nothing else is touched."""
    settings = read_settings(os.environ, data=data, machines="none")
    if not settings.data.is_dir():
        raise Refusal(f"{settings.data} is not the data folder of a Kiln that has run", exits.FILE)
    with assemble(settings, say=None) as it:
        try:
            yield it
        except AccountUnknown as error:
            raise Refusal(f"there is no account {error}", exits.REFUSED, "`kiln account list` shows them.") from error
        except AlreadyThere as error:
            raise Refusal(str(error), exits.REFUSED) from error
