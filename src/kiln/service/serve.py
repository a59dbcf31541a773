"""``kiln serve``: a Kiln that answers requests until it is told to stop."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from kiln.ground import killpoints
from kiln.ground.clock import go_on_after
from kiln.ground.journal import Journal
from kiln.operations import CATALOGUE
from kiln.service import doctor, http, logs, memory
from kiln.service.accounts import KEPT_S, Keys, StoredCredentials, ensure_first_account, known_keys, switched_off
from kiln.service.address import Address, tell
from kiln.service.assemble import Assembly, assemble
from kiln.service.checking import EVERY_S, DailyCheck
from kiln.service.claim import hold_data_folder
from kiln.service.consoles import LaterConsole, own_console
from kiln.service.databases import hold_database
from kiln.service.errors import DatabaseUnusable
from kiln.service.exposition import Exposition
from kiln.service.health import Health, health
from kiln.service.keywatch import KeyWatch
from kiln.service.listening import known_certificates, listeners
from kiln.service.networking import networks_carried
from kiln.service.pairing import advance, refuse_newer
from kiln.service.passing import started, stopping
from kiln.service.readings import Readings
from kiln.service.settings import Settings, to_address
from kiln.service.supervisor import READY, Watchdog, tell_supervisor
from kiln.store import tasks, webhooks
from kiln.store.errors import DatabaseFull
from kiln.store.settling import Settling
from kiln.tasks.worker import Worker
from kiln.upkeep import unfinished
from kiln.upkeep.adoption import adopt
from kiln.upkeep.audit import Room
from kiln.upkeep.duties import DUTIES
from kiln.upkeep.keeper import CHORES, Chore, Keeper, unhurried
from kiln.upkeep.opening import want_again
from kiln.upkeep.placing import place_all
from kiln.upkeep.postman import Postman
from kiln.upkeep.recorder import Recorder
from kiln.wire.app import Site, make_app
from kiln.wire.audit import Audit
from kiln.wire.dispatch import Dispatcher
from kiln.wire.gateway import Gateway
from kiln.wire.http.bounds import STREAMS, STREAMS_SHARE, TERMINALS, TERMINALS_SHARE, make_room
from kiln.wire.http.crowd import Crowd
from kiln.wire.noncelog import open_nonces
from kiln.wire.oss.call import OssSite
from kiln.wire.oss.gate import OssGate
from kiln.wire.paths.events import Limits
from kiln.wire.paths.metrics import Metrics
from kiln.wire.paths.terminal import TerminalLimits, TerminalSite
from kiln.wire.paths.threads import Threads
from kiln.wire.refusals import WINDOW_S

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

#: So long after a start the upkeep begins: what cannot wait for it is done before anything is answered.
_SETTLED_S = 0.5

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
        hold_database(settings) as hold,
        assemble(
            replace(settings, public_endpoint=settings.public_endpoint or http.reach(sockets[0])), strays=True, say=say
        ) as assembly,
    ):
        names, certificates = known_certificates(settings, sockets, say)
        if assembly.database.is_sqlite:
            assembly.ballast.fill()
        deployment = advance(assembly.database, assembly.pool, assembly.ports.clock())
        if hold is not None:
            hold.guard(assembly.database, deployment, _end)
        recorder = Recorder(assembly.database, assembly.pool.records, deployment.id)
        keys = _keys(assembly)
        tell(settings.folder.endpoint, Address(f"http://{http.reach(sockets[0])}", settings.region_ids))
        _recover(assembly)
        worker = Worker(assembly.ports, DUTIES, unfinished, threads=settings.workers)
        audit = Auditing.of(assembly)
        keeper = Keeper(assembly.ports, _chores(assembly, recorder, audit), first_after_s=_SETTLED_S)
        for one in (recorder, worker, keeper):
            one.start()
        try:
            with (
                networks_carried(assembly),
                Postman(assembly.ports) as postman,
                ThreadPoolExecutor(settings.threads + _LEADERS, thread_name_prefix="request") as executor,
                ThreadPoolExecutor(_MOVERS, thread_name_prefix="object") as movers,
            ):
                crowd = Crowd(make_room())
                threads = Threads(executor, settings.threads, _PATIENCE_S if assembly.database.is_sqlite else 0.0)
                console, parts = own_console(settings, sockets[0]), Parts(worker, keeper, postman, recorder)
                site = _site(assembly, parts, audit, threads, movers, crowd=crowd, console=console)
                app = make_app(site)
                _tell_of_keys(assembly, say)
                http.run(
                    app,
                    sockets,
                    crowd,
                    names=names,
                    certificates=certificates,
                    begins=partial(_begin, assembly, keys, sockets, say, room, link=partial(console.link, keys)),
                    ends=partial(stopping, assembly, worker, say),
                    ticks=Watchdog(parts.dead).look,
                )
                threads.give_up()
        finally:
            keeper.stop()
            worker.stop()
            _write_last(audit.log)
            recorder.stop()
            log.info("stopped")


def _begin(
    assembly: Assembly,
    keys: Keys,
    sockets: Sequence[socket.socket],
    say: Callable[[str], None],
    room: int,
    *,
    link: Callable[[], str],
) -> None:
    """Say that requests are answered, to whoever waits for that, and where the console is."""
    address = f"http://{http.bound(sockets[0])}"
    for words in doctor.lines(doctor.glance(assembly.settings), room):
        say(words)
    _greet(assembly.settings, keys, say)
    if path := link():
        say(f"console {address}{path}")
    say(f"listening on {address}")
    _tell_of_tls(sockets[1:], say)
    started(assembly, address)
    tell_supervisor(READY, f"listening on {address}")


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


def _recover(assembly: Assembly) -> None:
    """Take up what a stop or a crash left: nobody else can hold a lease, or a machine, of a database that is held."""
    assembly.pool.sweep()
    assembly.buckets.sweep()
    assembly.uploads.clear()
    database = assembly.database
    with database.read() as tx:
        go_on_after(max(tasks.latest_seq(tx), webhooks.latest_seq(tx)))
        is_any_unknown = tasks.is_any_unknown(tx)
    if is_any_unknown:
        log.warning("tasks_of_unknown_status", count=database.write(tasks.open_unknown, gives_back=True))
    with database.read() as tx:
        is_any_leased = tasks.is_any_leased(tx)
    try:
        if is_any_leased:
            database.write(tasks.release_all)
    except DatabaseFull:
        # The room that is kept is not spent on it: leases run out by themselves within a minute.
        log.exception("database_full", left="leases of the last run")
    assembly.ports.machines.adopt()
    try:
        adopt(assembly.ports)
    except DatabaseFull:
        # The keeper tries it again.
        log.exception("database_full", left="what machines do that live")
    try:
        place_all(assembly.ports)
    except DatabaseFull:
        log.exception("database_full", left="instances that have no network yet")
    want_again(assembly.ports)


def _chores(assembly: Assembly, recorder: Recorder, audit: Auditing) -> tuple[Chore, ...]:
    """What the keeper does here: the upkeep, and what keeps a database that lies in the data folder."""
    # `kiln account` changes the database beside us.
    watch, settings = KeyWatch(assembly.database), assembly.settings
    chores = (
        *CHORES,
        Chore("record_accounts", 60.0, lambda _: recorder.compare(("account",))),
        Chore("watch_keys", KEPT_S, lambda _: watch.look()),
        Chore("write_refused", WINDOW_S, lambda _: audit.log.write_refused()),
        Chore("bound_audit", 30.0, lambda _: audit.room.forget_most()),
        unhurried("forget_audit", 600.0, lambda _: audit.room.forget_old(settings.audit_days)),
        unhurried("sweep_uploads", 3600.0, lambda ports: assembly.uploads.sweep(ports.clock())),
    )
    if not assembly.database.is_sqlite:
        return chores
    check = DailyCheck(assembly.settings.folder.database)
    return (
        *chores,
        Chore("ballast", 30.0, lambda _: assembly.ballast.fill()),
        Chore("check_database", EVERY_S, check),
    )


def _write_last(audit: Audit) -> None:
    """Have the calls written down that were refused in the last seconds, or not: the end waits for nothing."""
    try:
        audit.write_refused()
    except Exception:
        log.exception("refused_calls_lost")


class Auditing(NamedTuple):
    """What writes calls down, and what keeps that small."""

    log: Audit
    room: Room

    @classmethod
    def of(cls, assembly: Assembly) -> Auditing:
        """As the settings have it."""
        ports, settings = assembly.ports, assembly.settings
        return cls(Audit(ports, is_on=settings.audit_days > 0), Room(ports, settings.audit_events))


class Parts(NamedTuple):
    """What is at work beside those who answer requests."""

    worker: Worker
    keeper: Keeper
    postman: Postman
    recorder: Recorder

    def dead(self) -> list[str]:
        """The names of the threads that have ended although nobody stopped them."""
        return [name for part in self for name in part.dead()]


def _site(
    assembly: Assembly,
    parts: Parts,
    audit: Auditing,
    threads: Threads,
    movers: Executor,
    *,
    crowd: Crowd,
    console: LaterConsole,
) -> Site:
    ports = assembly.ports
    settling = Settling()
    ports.database.hub.attach(settling)
    credentials = StoredCredentials(assembly.database, assembly.sealer)
    gateway = Gateway(
        Dispatcher(CATALOGUE, ports, parts.worker.id, parts.worker.hand_over, settling, audit=audit.log),
        credentials,
        open_nonces(assembly.settings.folder.nonces, ports.clock()),
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

    readings = Readings(ports, assembly.settings.folder, look, lambda: crowd.counts["connections"], audit.room)
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
            machines=ports.machines,
            clock=ports.clock,
            limits=TerminalLimits(in_all=min(TERMINALS, int(crowd.room.in_all * TERMINALS_SHARE))),
        ),
        limits=Limits(in_all=min(STREAMS, int(crowd.room.in_all * STREAMS_SHARE))),
    )


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
