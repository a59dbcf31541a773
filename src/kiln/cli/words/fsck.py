"""``kiln fsck``: whether the pool holds what the database says."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from kiln.cli import exits
from kiln.cli.beside import settings_there
from kiln.cli.exits import Refusal
from kiln.cli.flags import Data, DatabaseAddress, Shared
from kiln.cli.grammar import Json, example, group
from kiln.cli.output import note, show_json, show_line
from kiln.ground.clock import system_clock
from kiln.service.accounts import Keys
from kiln.service.assemble import assemble, look
from kiln.service.claim import hold_as_it_is, hold_data_folder
from kiln.service.databases import hold_database
from kiln.service.pairing import refuse_newer
from kiln.service.pools import hold_pool
from kiln.service.rebuilding import rebuilt
from kiln.service.settings import Settings
from kiln.service.verdict import keep
from kiln.upkeep.findings import Finding, is_well
from kiln.upkeep.fsck import fsck

app = group()

_SHOWN_FROM, _SHOWN_EVERY = 500, 50  # Volumes.


@app.command("fsck", epilog=example("kiln fsck --data ~/kiln", "kiln fsck --data ~/kiln --no-repair"))
def run(
    *,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
    repair: Annotated[bool, typer.Option(help="Mend what can be mended, or only say what would be.")] = True,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Write the rows again that the pool has records of, and then look.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare the pool with the database, the server stopped; explain and repair what differs.

    `repaired` is what a crash may leave; `pending` is work that goes on at the
    next start; `broken` is damage that cannot be mended here, and makes the exit
    code 10. Nothing is deleted that somebody names or nobody knows: a volume of
    which only the row is missing gets it back, and what nothing names is moved to
    pool/lost+found in the data folder. With --no-repair nothing is changed: what
    would be repaired is `repairable`, and makes the exit code 10 too.

    --rebuild is for a database that is lost, or older than the pool. It writes
    accounts, images, snapshots, disks and instances again from the pool's records
    and volumes, ends with what could not be, and may be run again. Secrets cannot
    come back: accounts keep their IDs and get new keys, which are shown once, the
    first account those that KILN_SERVER_ACCESS_KEY_ID and its like name, if any.
    """
    settings = settings_there(data, database, shared)
    refuse_newer(settings)
    if rebuild and not repair:
        raise Refusal("--rebuild writes, and --no-repair writes nothing: name one of them", exits.USAGE)
    say = (lambda _: None) if as_json else (lambda text: show_line(f"looking at {text}"))
    if not repair:
        with hold_as_it_is(settings.data), hold_database(settings), look(settings) as ports:
            findings = fsck(ports, repair=False, say=say, count=_count)
    else:
        with hold_data_folder(settings.data), hold_database(settings), hold_pool(settings):
            if rebuild:
                findings = _rebuild(settings, say, as_json=as_json)
            else:
                with assemble(settings, say=None) as assembly:
                    findings = fsck(assembly.ports, repair=repair, say=say, count=_count)
            keep(settings.folder.verdict, findings, system_clock())
    if as_json:
        show_json([vars(finding) for finding in findings])
    else:
        for finding in findings:
            show_line(f"{finding.sort:10}  {finding.subject}  {finding.text}")
        show_line("all is well" if is_well(findings) else "not all is well")
    if not is_well(findings):
        raise typer.Exit(exits.UNSOUND.number)


def _count(done: int, total: int) -> None:
    """Show on a terminal how far a long look is; the line is taken away at its end."""
    if total > _SHOWN_FROM and sys.stderr.isatty() and (done % _SHOWN_EVERY == 0 or done == total):
        text = f"{done} of {total} volumes" if done < total else ""
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def _rebuild(settings: Settings, say: Callable[[str], None], *, as_json: bool) -> list[Finding]:
    """Rebuild, say what was written again, and look at what came of it."""
    tell = note if as_json else show_line
    with rebuilt(settings) as (assembly, outcome):
        for text in outcome.rebuilt.told():
            tell(f"wrote again {text}")
        for keys in outcome.keys:
            _tell_keys(tell, keys, settings)
        tell(f"database and pool are in generation {outcome.deployment.generation}")
        return [*outcome.rebuilt.findings, *fsck(assembly.ports, repair=True, say=say, count=_count)]


def _tell_keys(tell: Callable[[str], None], keys: Keys, settings: Settings) -> None:
    """Show the keys that were made, and only name those that the settings gave: whoever set them has them."""
    access_key = (keys.access_key_id, keys.access_key_secret)
    app_pair = (keys.app_key, keys.app_secret)
    made = []
    if access_key == (settings.server_access_key_id, settings.server_access_key_secret):
        tell(f"account {keys.account} has the AccessKey of KILN_SERVER_ACCESS_KEY_ID: {keys.access_key_id}")
    else:
        made += [f"  AccessKey ID      {keys.access_key_id}", f"  AccessKey secret  {keys.access_key_secret}"]
    if app_pair == (settings.server_app_key, settings.server_app_secret):
        tell(f"account {keys.account} has the app of KILN_SERVER_APP_KEY: {keys.app_key}")
    else:
        made += [f"  AppKey            {keys.app_key}", f"  AppSecret         {keys.app_secret}"]
    if made:
        tell(f"new keys of account {keys.account}, shown this once; the old ones are gone:")
    for line in made:
        tell(line)
