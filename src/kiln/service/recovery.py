"""What a start takes up that a stop or a crash left: of the deployment where nobody else serves it, and of its host."""

from __future__ import annotations

from kiln.declare.roles import Role
from kiln.ground.clock import go_on_after
from kiln.ground.journal import Journal
from kiln.service.assemble import Assembly
from kiln.store import tasks, terminals, webhooks
from kiln.store.errors import DatabaseFull
from kiln.store.hosts import is_given_up
from kiln.upkeep.adoption import adopt
from kiln.upkeep.lost_hosts import end_given_up
from kiln.upkeep.opening import want_again
from kiln.upkeep.placing import place_all

log = Journal("kiln.service")


def recover(assembly: Assembly, *, is_first: bool = True) -> None:
    """Take it up. What is the deployment's is *is_first*'s, since all of it may be in use where others serve."""
    with assembly.database.read() as tx:
        go_on_after(max(tasks.latest_seq(tx), webhooks.latest_seq(tx)))
    if is_first:
        _recover_deployment(assembly)
    if Role(assembly.settings.role).works:
        _recover_host(assembly)
    if is_first:
        try:
            place_all(assembly.ports)
        except DatabaseFull:
            log.exception("database_full", left="instances that have no network yet")
    if Role(assembly.settings.role).works:
        want_again(assembly.ports)


def _recover_deployment(assembly: Assembly) -> None:
    """Nobody else can hold a lease of a database, or write into a pool, in which nobody else is at work."""
    assembly.pool.sweep()
    assembly.buckets.sweep()
    assembly.uploads.clear()
    database = assembly.database
    with database.read() as tx:
        is_any_unknown, is_any_leased = tasks.is_any_unknown(tx), tasks.is_any_leased(tx)
        is_any_joined = terminals.is_any_joined(tx, "")
    if is_any_unknown:
        log.warning("tasks_of_unknown_status", count=database.write(tasks.open_unknown, gives_back=True))
    if is_any_joined:
        # Where one process is all that there is, its sessions are those of no door.
        database.write(lambda tx: terminals.door_gone(tx, "", assembly.ports.clock()), gives_back=True)
    try:
        if is_any_leased:
            database.write(tasks.release_all)
    except DatabaseFull:
        # The room that is kept is not spent on it: leases run out by themselves within a minute.
        log.exception("database_full", left="leases of the last run")


def _recover_host(assembly: Assembly) -> None:
    if not assembly.ports.is_alone:
        with assembly.database.read() as tx:
            was_given_up = is_given_up(tx, assembly.ports.host)
        if was_given_up:
            # Before anybody takes a machine that lives for one that is to.
            end_given_up(assembly.ports)
    assembly.ports.machines.adopt()
    try:
        adopt(assembly.ports)
    except DatabaseFull:
        # The keeper tries it again.
        log.exception("database_full", left="what machines do that live")
