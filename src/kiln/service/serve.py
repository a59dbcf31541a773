"""``kiln serve``: a Kiln that answers requests until it is told to stop."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from kiln.calls.call import Ports
from kiln.declare.roles import Role
from kiln.ground import killpoints
from kiln.ground.journal import Journal
from kiln.operations import CATALOGUE
from kiln.service import doctor, http, logs, memory
from kiln.service.accounts import Keys, StoredCredentials, ensure_first_account, known_keys, switched_off
from kiln.service.address import Address, tell
from kiln.service.assemble import Assembly, assemble
from kiln.service.claim import hold_data_folder
from kiln.service.consoles import LaterConsole, own_console, sessions_of
from kiln.service.databases import join_database
from kiln.service.errors import DatabaseUnusable
from kiln.service.exposition import Exposition
from kiln.service.health import Health, health
from kiln.service.listening import known_certificates, listeners
from kiln.service.membership import Membership
from kiln.service.networking import networks_carried
from kiln.service.pairing import advance, join, refuse_newer
from kiln.service.parts import Auditing, Parts
from kiln.service.passing import started, stopping
from kiln.service.peers import Peers, peer_listener
from kiln.service.pools import hold_pool
from kiln.service.readings import Readings
from kiln.service.recovery import recover
from kiln.service.settings import Settings, to_address
from kiln.service.supervisor import READY, Watchdog, tell_supervisor
from kiln.store.deployment import Deployment
from kiln.store.errors import DatabaseFull
from kiln.store.hold import Hold
from kiln.store.nonces import SharedNonces
from kiln.store.settling import Settling
from kiln.tasks.worker import Worker
from kiln.wire.app import Site, make_app
from kiln.wire.audit import Audit
from kiln.wire.dispatch import Dispatcher
from kiln.wire.gateway import Gateway
from kiln.wire.http.bounds import STREAMS, STREAMS_SHARE, TERMINALS, TERMINALS_SHARE, make_room
from kiln.wire.http.crowd import Crowd
from kiln.wire.noncelog import open_nonces
from kiln.wire.nonces import Nonces
from kiln.wire.oss.call import OssSite
from kiln.wire.oss.gate import OssGate
from kiln.wire.paths.events import Limits
from kiln.wire.paths.metrics import Metrics
from kiln.wire.paths.terminal import TerminalLimits, TerminalSite
from kiln.wire.paths.threads import Threads
from kiln.wire.sharednonces import NoncesOfAll

log = Journal("kiln.service")

#: So long one thread may compute while another, whose disk or machine has answered, waits; Python's own is 5 ms.
#: A capture waits for a disk or for QEMU a dozen times, and each time it would come after whoever asks for its state.
_TURN_S = 0.001

#: So long requests wait for a thread that is at work before another begins. Most are answered in a fraction of it, and
#: what takes longer waits for a disk. PostgreSQL is waited for at each statement, so there they wait for nothing.
_PATIENCE_S = 0.002

#: Threads beside those of requests: one leads who writes, while others tell their groups what has become of it.
_LEADERS = 4

#: Threads that read and write objects of buckets: so many wait for disks at a time.
_MOVERS = 8

_POINT_MOST = 200  # Letters in the name of a kill point.


def serve(settings: Settings, say: Callable[[str], None], room: int = 0) -> None:
    """Serve until SIGTERM or SIGINT. *say* prints what the operator should read, on a terminal of *room* columns."""
    logs.configure(settings.log, settings.log_format)
    sys.setswitchinterval(_TURN_S)
    memory.share_heaps()
    killpoints.listen(_killer(settings.kill_at) if settings.kill_at else None)
    refuse_newer(settings)
    with (
        hold_data_folder(settings.data),
        listeners(settings) as sockets,
        peer_listener(settings) as peer,
        join_database(settings) as hold,
        _assembled(settings, sockets[0], hold, say) as assembly,
        hold_pool(settings, is_beside=hold is not None and not hold.is_first),
    ):
        names, certificates = known_certificates(settings, sockets, say)
        if assembly.database.is_sqlite:
            assembly.ballast.fill()
        is_first = hold is None or hold.is_first
        deployment = _generation(assembly, is_first=is_first)
        if hold is not None:
            hold.guard(assembly.database, deployment, _end)
        keys = _keys(assembly) if Role(settings.role).answers else None
        address = http.reach(sockets[0])
        tell(settings.folder.endpoint, Address(f"http://{address}", settings.region_ids))
        recover(assembly, is_first=is_first)
        audit = Auditing.of(assembly)
        parts = Parts(assembly, audit, deployment.id)
        peers = Peers(assembly, peer, parts.id)
        membership = Membership(assembly, hold, parts, address=address, peer=peers.address)
        parts.start()
        try:
            membership.begin()
            with (
                networks_carried(assembly),
                ThreadPoolExecutor(settings.threads + _LEADERS, thread_name_prefix="request") as executor,
                ThreadPoolExecutor(_MOVERS, thread_name_prefix="object") as movers,
            ):
                crowd = Crowd(make_room())
                threads = Threads(executor, settings.threads, _PATIENCE_S if assembly.database.is_sqlite else 0.0)
                sessions = sessions_of(assembly.database, assembly.sealer)
                console = own_console(settings, sockets[0], assembly.sealer, sessions)
                site = _site(assembly, parts, audit, threads, movers, crowd=crowd, console=console, peers=peers)
                app = make_app(site, answers=keys is not None)
                _tell_of_keys(assembly, say)
                http.run(
                    app,
                    sockets,
                    crowd,
                    names=names,
                    certificates=certificates,
                    begins=partial(_begin, assembly, keys, sockets, say, room, console=console, peers=peers),
                    ends=partial(_stop, assembly, parts.worker, say, peers),
                    ticks=Watchdog(parts.dead).look,
                )
                threads.give_up()
        finally:
            parts.stop()
            membership.end()
            log.info("stopped")


def _assembled(
    settings: Settings, listener: socket.socket, hold: Hold | None, say: Callable[[str], None]
) -> AbstractContextManager[Assembly]:
    """A Kiln that says where it is reached. While others are at work there are volumes that have no row any more."""
    told = replace(settings, public_endpoint=settings.public_endpoint or http.reach(listener))
    return assemble(told, strays=hold is None or hold.is_first, say=say)


def _generation(assembly: Assembly, *, is_first: bool) -> Deployment:
    """Begin the next generation, or go on in the one that others are at work in."""
    if is_first:
        return advance(assembly.database, assembly.pool, assembly.ports.clock())
    return join(assembly.database)


def _begin(
    assembly: Assembly,
    keys: Keys | None,
    sockets: Sequence[socket.socket],
    say: Callable[[str], None],
    room: int,
    *,
    console: LaterConsole,
    peers: Peers,
) -> None:
    """Say that requests are answered, to whoever waits for that, and where the console is."""
    peers.begin()
    address = f"http://{http.bound(sockets[0])}"
    for words in doctor.lines(doctor.glance(assembly.settings), room):
        say(words)
    if keys is not None:
        _greet(assembly.settings, keys, say)
        if path := console.link(keys):
            say(f"console {address}{path}")
    say(f"listening on {address}")
    _tell_of_tls(sockets[1:], say)
    started(assembly, address)
    tell_supervisor(READY, f"listening on {address}")


def _stop(assembly: Assembly, worker: Worker | None, say: Callable[[str], None], peers: Peers) -> None:
    stopping(assembly, worker, say)
    peers.end()


def _keys(assembly: Assembly) -> Keys:
    """The first account's keys. On a full disk those of before do: better to read and delete with them than not."""
    database, sealer = assembly.database, assembly.sealer
    try:
        return ensure_first_account(database, sealer, assembly.settings, assembly.ports.clock())
    except DatabaseFull as error:
        keys = known_keys(database, sealer, assembly.settings)
        if keys is None:
            raise DatabaseUnusable(str(error)) from error
        log.exception("database_full", left="keys that the settings name")
        return keys


def _site(
    assembly: Assembly,
    parts: Parts,
    audit: Auditing,
    threads: Threads,
    movers: Executor,
    *,
    crowd: Crowd,
    console: LaterConsole,
    peers: Peers,
) -> Site:
    ports = assembly.ports
    settling = Settling()
    ports.database.hub.attach(settling)
    credentials = StoredCredentials(assembly.database, assembly.sealer)
    gateway = Gateway(
        _dispatcher(ports, parts.worker, settling, audit.log),
        credentials,
        _nonces(assembly),
        ports.clock,
        voucher=console.place.voucher,
    )

    ballast = assembly.ballast if assembly.database.is_sqlite else None

    def look() -> Health:
        return health(ports, ballast, parts.dead(), assembly.settings.folder, untold=parts.postman.trouble)

    def tell_alive() -> tuple[bool, dict[str, Any]]:
        found = look()
        return found.is_alive, found.told | {"http": crowd.counts}

    def tell_ready() -> tuple[bool, dict[str, Any]]:
        found = look()
        return found.is_ready, found.told | {"checks": found.checks}

    process = (assembly.settings.role, assembly.settings.host, parts.id)
    connections = lambda: crowd.counts["connections"]  # noqa: E731 - it is looked up each time.
    readings = Readings(ports, assembly.settings.folder, look, connections, audit.room, process=process)
    exposition = Exposition(readings)
    metrics = Metrics(tell=exposition.tell, is_for_everybody=assembly.settings.metrics == "everybody")
    return Site(
        gateway=gateway,
        threads=threads,
        alive=tell_alive,
        ready=tell_ready,
        metrics=None if assembly.settings.metrics == "off" else metrics,
        hub=assembly.database.hub,
        oss=_oss(assembly, credentials),
        movers=movers,
        console=console,
        terminal=TerminalSite(
            terminals=ports.terminals,
            database=ports.database,
            consoles=peers.consoles,
            clock=ports.clock,
            limits=TerminalLimits(in_all=min(TERMINALS, int(crowd.room.in_all * TERMINALS_SHARE))),
        ),
        limits=Limits(in_all=min(STREAMS, int(crowd.room.in_all * STREAMS_SHARE))),
    )


def _nonces(assembly: Assembly) -> Nonces:
    """The memory of used requests; where others may answer them too, one that is between all."""
    settings = assembly.settings
    own = open_nonces(settings.folder.nonces, assembly.ports.clock())
    if assembly.database.is_sqlite:
        return own
    return NoncesOfAll(own, SharedNonces(settings.server), assembly.sealer.derived("nonces"))


def _dispatcher(ports: Ports, worker: Worker | None, settling: Settling, audit: Audit) -> Dispatcher:
    """What runs operations; tasks are handed to the worker of this process, where it has one."""
    if worker is None:
        return Dispatcher(CATALOGUE, ports, settling=settling, audit=audit)
    return Dispatcher(CATALOGUE, ports, worker.id, worker.hand_over, settling, audit=audit)


def _oss(assembly: Assembly, credentials: StoredCredentials) -> OssGate:
    ports = assembly.ports
    return OssGate(
        OssSite(
            credentials=credentials,
            database=assembly.database,
            buckets=assembly.buckets,
            uploads=assembly.uploads,
            clock=ports.clock,
            region=assembly.settings.region_ids[0],
            own_names=(
                "localhost",
                to_address(assembly.ports.deployment.endpoint)[0],
                *assembly.settings.own_names,
            ),
        )
    )


def _end() -> None:
    """End the serving as the operator would."""
    os.kill(os.getpid(), signal.SIGTERM)


def _tell_of_tls(sockets: Sequence[socket.socket], say: Callable[[str], None]) -> None:
    for one in sockets:
        say(f"listening on https://{http.bound(one)}")


def _tell_of_keys(assembly: Assembly, say: Callable[[str], None]) -> None:
    for one in switched_off(assembly.database, assembly.settings):
        say(f"{one}, which the settings name, is switched off: `kiln account keys enable {one}`")


def _greet(settings: Settings, keys: Keys, say: Callable[[str], None]) -> None:
    if keys.are_new:
        log.info("keys_made", account=keys.account, access_key_id=keys.access_key_id, app_key=keys.app_key)
        say(f"first start in {settings.data}: account {keys.account}")
        say(f"  AccessKey ID      {keys.access_key_id}")
        say(f"  AccessKey secret  {keys.access_key_secret}")
        say(f"  AppKey            {keys.app_key}")
        say(f"  AppSecret         {keys.app_secret}")
        say("  These are shown once. `kiln env` prints them as settings for clients.")


def _killer(point: str) -> Callable[[str], None]:
    """End the program at the n-th passing of a point (``name`` or ``name:n``), leaving everything as it is.

    ``@/a/file`` is the point that this file names at the time, and none while there is no such file.
    """
    if point.startswith("@"):
        return _killer_by(Path(point[1:]))
    name, _, count = point.partition(":")
    left = int(count or 1)

    def hook(reached: str) -> None:
        nonlocal left
        if reached == name:
            left -= 1
            if left == 0:
                os._exit(137)

    return hook


def _killer_by(named: Path) -> Callable[[str], None]:
    def hook(reached: str) -> None:
        with suppress(FileNotFoundError), named.open() as file:
            if file.read(_POINT_MOST) == reached:
                os._exit(137)

    return hook
