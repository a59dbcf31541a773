"""``kiln account keys``: more keys for an account, and an end of those that were seen or are old."""

from __future__ import annotations

from typing import Annotated

import typer

from kiln.cli.beside import beside
from kiln.cli.flags import Data, DatabaseAddress, Shared
from kiln.cli.grammar import Columns, Json, Quiet, example, group
from kiln.cli.output import Column, View, note, show_facts, show_json, show_line, show_rows
from kiln.ground.clock import to_seconds_text
from kiln.service import keys
from kiln.service.accounts import KEPT_S
from kiln.service.keys import ACCESS_KEY, APP, Pair

app = group()

KINDS = {ACCESS_KEY: "AccessKey", APP: "App"}

Key = Annotated[str, typer.Argument(metavar="KEY", help="An AccessKey ID, or an AppKey.")]
Keys = Annotated[list[str], typer.Argument(metavar="KEY", help="AccessKey IDs, or AppKeys.")]


@app.command("list", epilog=example("kiln account keys list", "kiln account keys list 1000000000000001"))
def show(
    account: Annotated[str | None, typer.Argument(metavar="ACCOUNT", help="Only this account's.")] = None,
    *,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
    quiet: Quiet = False,
    wanted: Columns = None,
    as_json: Json = False,
) -> None:
    """List the keys, without their secrets."""
    with beside(data, database, shared) as it:
        rows = [
            {
                "Account": row.account,
                "Kind": KINDS[row.kind],
                "Id": row.id,
                "State": state(is_active=row.active),
                "Created": to_seconds_text(row.created_at),
            }
            for row in keys.known(it.database, account)
        ]
    columns = [Column(name.upper(), name, is_id=name == "Id") for name in ("Account", "Kind", "Id", "State", "Created")]
    show_rows(rows, columns, View(as_json=as_json, ids_only=quiet, columns=wanted))


@app.command(
    "add", epilog=example("kiln account keys add 1000000000000001", "kiln account keys add 1000000000000001 --app")
)
def add(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account.")],
    *,
    is_app: Annotated[bool, typer.Option("--app", help="A pair for the Apsara route, not an AccessKey.")] = False,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
    as_json: Json = False,
) -> None:
    """Make another pair for an account, and show it, this once. It lets in at once."""
    with beside(data, database, shared) as it:
        pair = keys.add(it.database, it.sealer, account, APP if is_app else ACCESS_KEY, it.clock())
    _show(pair, as_json=as_json)


@app.command(
    "rotate",
    epilog=example(
        "kiln account keys rotate LTAIKilnx0c4d5e6f7a8b9c0",
        "kiln account keys rotate LTAIKilnx0c4d5e6f7a8b9c0 --disable-old",
    ),
)
def rotate(
    key: Key,
    *,
    is_old_disabled: Annotated[
        bool, typer.Option("--disable-old", help="Let the old one in no more, as when somebody has seen its secret.")
    ] = False,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
    as_json: Json = False,
) -> None:
    """Make a new pair beside one, for the same account, and show it, this once.

    Both let in, so that clients can move one after the other; when the last has,
    `kiln account keys disable KEY` ends the old one.
    """
    with beside(data, database, shared) as it:
        pair = keys.rotate(it.database, it.sealer, key, it.clock(), is_old_disabled=is_old_disabled)
    _show(pair, as_json=as_json)
    if is_old_disabled:
        note(_disabled(key))
    else:
        note(f"{key} goes on until `kiln account keys disable {key}`")


@app.command("disable", epilog=example("kiln account keys disable LTAIKilnx0c4d5e6f7a8b9c0"))
def disable(keys_named: Keys, *, data: Data = None, database: DatabaseAddress = None, shared: Shared = None) -> None:
    """Let keys in no more, without removing them: requests get InvalidAccessKeyId.Inactive."""
    with beside(data, database, shared) as it:
        for key in keys_named:
            row = keys.disable(it.database, key)
            show_line(_disabled(key))
            if not any(one.active and one.kind == row.kind for one in keys.known(it.database, row.account)):
                note(f"it was the last {KINDS[row.kind]} of account {row.account} that let anybody in")


@app.command("enable", epilog=example("kiln account keys enable LTAIKilnx0c4d5e6f7a8b9c0"))
def enable(keys_named: Keys, *, data: Data = None, database: DatabaseAddress = None, shared: Shared = None) -> None:
    """Let keys in again."""
    with beside(data, database, shared) as it:
        for key in keys_named:
            keys.enable(it.database, it.sealer, key)
            show_line(f"{key} is active, within {KEPT_S:g} seconds")


@app.command("delete", epilog=example("kiln account keys delete LTAIKilnx0c4d5e6f7a8b9c0"))
def delete(keys_named: Keys, *, data: Data = None, database: DatabaseAddress = None, shared: Shared = None) -> None:
    """Remove keys that are disabled. A key that is named by the service's settings comes back at its next start."""
    with beside(data, database, shared) as it:
        for key in keys_named:
            keys.delete(it.database, key)
            show_line(f"{key} is gone")


def state(*, is_active: bool) -> str:
    """The word for whether a key lets in, in every list of keys."""
    return "active" if is_active else "disabled"


def _disabled(key: str) -> str:
    return f"{key} is disabled; a service that runs lets it in for {KEPT_S:g} seconds more at the most"


def _show(pair: Pair, *, as_json: bool) -> None:
    names = ("AccessKeyId", "AccessKeySecret") if pair.kind == ACCESS_KEY else ("AppKey", "AppSecret")
    facts = {"Account": pair.account, names[0]: pair.id, names[1]: pair.secret}
    if as_json:
        show_json(facts)
    else:
        show_facts(facts)
