"""``kiln account``: accounts, their keys, users and resource groups, on the machine where the service's data lies."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

from kiln.cli import exits
from kiln.cli.beside import beside, settings_there
from kiln.cli.exits import Refusal
from kiln.cli.flags import Data, DatabaseAddress, Shared
from kiln.cli.grammar import Columns, Json, Quiet, example, group
from kiln.cli.output import Column, View, note, show_facts, show_json, show_rows
from kiln.cli.words import keys
from kiln.service import accounts
from kiln.service.pairing import refuse_newer

app = group()
app.add_typer(keys.app, name="keys", help="List, add, rotate, disable and delete keys.")


@app.command("list", epilog=example("kiln account list"))
def show(
    *,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
    quiet: Quiet = False,
    wanted: Columns = None,
    as_json: Json = False,
) -> None:
    """List the accounts."""
    with beside(data, database, shared) as it:
        rows = [{"Account": account, "Name": name} for account, name in accounts.names(it.database).items()]
    show_rows(
        rows,
        [Column("ACCOUNT", "Account"), Column("NAME", "Name", is_prose=True)],
        View(as_json=as_json, ids_only=quiet, columns=wanted),
    )


@app.command("add", epilog=example("kiln account add team-b"))
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    *,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
    as_json: Json = False,
) -> None:
    """Make another account, and show its keys, this once."""
    with beside(data, database, shared) as it:
        made = accounts.add_account(it.database, it.sealer, name, it.clock())
    facts = {
        "Account": made.account,
        "AccessKeyId": made.access_key_id,
        "AccessKeySecret": made.access_key_secret,
        "AppKey": made.app_key,
        "AppSecret": made.app_secret,
    }
    if as_json:
        show_json(facts)
    else:
        show_facts(facts)


@app.command("add-user", epilog=example("kiln account add-user 1000000000000001 support@example.com"))
def add_user(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account.")],
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="What the user sends as UserEmail.")],
    *,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
) -> None:
    """Name a user of an account; from then on the Apsara route wants a UserEmail that is known."""
    with beside(data, database, shared) as it:
        accounts.add_user(it.database, account, email)


@app.command("add-resource-group", epilog=example("kiln account add-resource-group 1000000000000001 rg-web"))
def add_resource_group(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account.")],
    group_id: Annotated[str, typer.Argument(metavar="ID", help="The ID, such as rg-web.")],
    *,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
) -> None:
    """Make a resource group."""
    with beside(data, database, shared) as it:
        accounts.add_resource_group(it.database, account, group_id)


@app.command("reset-keys", epilog=example("kiln account reset-keys --data ~/kiln"))
def reset(*, data: Data = None, database: DatabaseAddress = None, shared: Shared = None, as_json: Json = False) -> None:
    """Give every key of every account a new secret, under a new master key, with the server stopped.

    This is for a master key that is lost, or that somebody has seen. First look
    whether it is only missing for now, on a file system that is not mounted, and
    whether there is a copy of it: with that nothing has to be reset. IDs stay as
    they are; secrets are shown this once, and clients need the new ones. Passwords
    that were given for instances are forgotten where the old master key, if there
    is one, does not open them. Nothing else is lost. A master key that is there is
    kept beside the new one. It may be killed at any moment; then run it again.
    """
    settings = settings_there(data, database, shared)
    refuse_newer(settings)
    try:
        # It puts a whole Kiln together, which no other word here has to wait for.
        done = importlib.import_module("kiln.service.resetting").reset_keys_of(settings)
    except OSError as error:
        raise Refusal(f"{error.filename or settings.data}: {error.strerror}", exits.FILE) from error
    rows = [
        {
            "Account": pair.account,
            "Kind": keys.KINDS[pair.kind],
            "Id": pair.id,
            "Secret": pair.secret,
            "State": keys.state(is_active=pair.active),
        }
        for pair in done.pairs
    ]
    if as_json:
        kept = None if done.kept is None else str(done.kept)
        show_json({"Keys": rows, "PasswordsForgotten": done.forgotten, "MasterKeyKept": kept})
        return
    # No table: on a narrow terminal it would leave out a column, and this is shown once.
    show_facts({"Keys": rows})
    if done.forgotten:
        note(f"the passwords of these instances could not be opened, and are forgotten: {', '.join(done.forgotten)}")
    if done.kept is not None:
        note(f"the master key of before is kept in {done.kept}; nothing needs it any more")
