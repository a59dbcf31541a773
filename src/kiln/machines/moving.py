"""A guest that goes from one QEMU to another while it runs: QEMU's ``migrate``, and who may write when.

Both have the disks open. The one that waits has them inactive, as QEMU calls
it: it takes no lock and writes nothing. The one that the guest leaves writes
out what it has in memory and makes them inactive too before it says that all
has been sent, and it says so only when the other has said that all has come
(``return-path``). From then on the guest stands still in both, whole, until it
is told to run in one of them, which makes the disks that one's
(``late-block-activate``). Which of the two, and that it is never told to the
other as well, is for whoever calls to decide, and to keep on a disk that both
know: of the two memories only one fits the disks once either guest has run.

QEMU needs the passphrases of encrypted disks to make them its own, in whichever of
the two: see ``unlocking``. The one that waits is told them as it is told to run. The
one that the guest leaves has them from just before it lets the disks go until it
runs again or ends, since it takes them back by itself when something fails: the
guest stands still, with all of its memory sent but the last, until it has them
(``pause-before-switchover``).

What a machine is in is kept as a mark in its run folder, which tells a Kiln that
was killed: ``arriving`` from before QEMU is started until just before the guest
is let run, ``leaving`` from before the first page is sent until it is certain
that the guest runs on here.

https://www.qemu.org/docs/master/devel/migration/main.html
"""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from kiln.ground.killpoints import reach
from kiln.ground.passphrases import within
from kiln.machines import blocks, keeping, process, unlocking
from kiln.machines.errors import GuestStays, MachineBusy, MachineMissing, MachineRefused, MachineSilent
from kiln.machines.following import require_no_merge
from kiln.machines.hearing import flag, mapping, number, text, words
from kiln.machines.merging import FILLER
from kiln.machines.port import Chain, Check, Entrance, GoesOn, Make, at_once, to_the_end
from kiln.machines.probe import processor
from kiln.machines.qmp import Session, open_session
from kiln.machines.runfolder import RunFolder
from kiln.machines.runstate import status_of

_HELD = "held"  #: The name of a socket in the run folder, for the moment in which it is bound.
ENTRANCE = "guest"  #: The socket to which a guest comes, in the folder ``arrival``.
_DEPARTURE = "departure"  #: What QEMU knows the connection by.
_BEFORE_DISKS = "pre-switchover"  #: The guest stands still, and its disks are QEMU's own still.
_UNDER_WAY = ("setup", "active", _BEFORE_DISKS, "device", "wait-unplug", "cancelling")
#: How long a guest may stand still while the last of its memory is sent, as QEMU estimates it.
_DOWNTIME_MS = 300
_BYTES_PER_S = 1 << 30  #: QEMU's own limit is an eighth of it; a network that has less gives less.
#: A guest that changes its memory faster than it can be sent is slowed down by QEMU, and in the end left where it is.
_LONGEST_S = 1800.0
_TOO_FAST = "the guest changes its memory faster than it goes"
_CALLED_OFF = "it was called off"
#: So long a guest may stand still before all has come. Who waits on the other side may have taken it, and say nothing.
STILL_S = 60.0
_FIRST_LOOK_S, _LAST_LOOK_S = 0.01, 0.25
_NEARLY_SENT = 256 << 20  #: Bytes; from there on it is looked often, since the guest may stand still already.
_SETTLE_S = 20.0  #: For a QEMU that was told to end a migration.


def make_of(qmp: Session, *, is_cabled: bool) -> Make:
    """What the machine is made of, which has a cable or none. Raises MachineSilent, MachineMissing."""
    version = mapping(qmp.execute("query-version"))
    parts = mapping(version, "qemu")
    numbers = ".".join(str(number(parts, name)) for name in ("major", "minor", "micro"))
    board = text(qmp.execute("qom-get", {"path": "/machine", "property": "type"}))
    has_kvm = flag(mapping(qmp.execute("query-kvm")), "enabled")
    return Make(
        program=f"QEMU {numbers} {words(version.get('package', ''))}".strip(),
        board=words(board),
        engine=f"KVM on {processor()}" if has_kvm else "TCG",
        is_cabled=is_cabled,
    )


def await_guest(qmp: Session, door: int, wanted: Make, *, is_cabled: bool) -> None:
    """Have a machine that was started for a guest wait for it at ``ENTRANCE`` in the folder that it has as *door*.

    Raises MachineRefused where it differs from *wanted*.
    """
    found = make_of(qmp, is_cabled=is_cabled)
    if found != wanted:
        raise MachineRefused(
            f"A running guest cannot come from {wanted} to {found}: the two must be the same. Stop and start it."
        )
    states = {"late-block-activate": True, "return-path": True}
    _set_capabilities(qmp, states)
    qmp.execute("migrate-incoming", {"uri": f"unix:/proc/self/fd/{door}/{ENTRANCE}"})


def enter(folder: RunFolder, uid: int | None, timeout_s: float) -> socket.socket:
    """A connection to a machine that waits. Raises MachineMissing.

    The folder is QEMU's, and what lies there is believed only to be a socket of QEMU's own user.
    """
    path = folder.arrival / ENTRANCE
    try:
        found = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise MachineMissing(f"No machine waits for the guest of {folder.instance}.") from error
    try:
        about = os.fstat(found)
        if not stat.S_ISSOCK(about.st_mode) or about.st_uid != (os.geteuid() if uid is None else uid):
            raise MachineMissing(f"What waits for the guest of {folder.instance} is not its machine.")
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(timeout_s)
            connection.connect(f"/proc/self/fd/{found}")
            connection.setblocking(True)
        except OSError as error:
            connection.close()
            raise MachineMissing(f"No machine waits for the guest of {folder.instance} any more.") from error
        return connection
    finally:
        os.close(found)


def send(
    folder: RunFolder,
    entrance: Entrance,
    goes_on: GoesOn = to_the_end,
    chains: Sequence[Chain] = (),
    *,
    still_s: float,
) -> None:
    """What ``port.Machines.migrate`` promises, where the guest stands still for *still_s* at most.

    Whoever calls holds the folder.
    """
    with open_session(folder.qmp) as qmp:
        # What QEMU tells is of the last migration, which may be one of before: a guest that has left does not run.
        goes = _state(qmp) in _UNDER_WAY or (_state(qmp) == "completed" and status_of(qmp) != "running")
        if not (folder.leaving.exists() and goes):
            try:
                _begin(folder, qmp, entrance, chains)
            except (MachineBusy, MachineRefused):
                keeping.let_go(qmp)
                folder.leaving.unlink(missing_ok=True)  # Of an earlier try, in which nothing was sent either.
                raise
    reach("machines.leaving")
    told, given_up = _await_sent(folder, goes_on, chains, still_s)
    if (state := text(told, "status")) != "completed":
        recall(folder)
        why = given_up or words(told.get("error-desc", "")) or f"it was {state}"
        kind = GuestStays if given_up in (_TOO_FAST, _CALLED_OFF) else MachineRefused
        raise kind(f"The guest of {folder.instance} could not be sent: {why}.")
    with open_session(folder.qmp) as qmp:
        keeping.let_go(qmp)  # From here on it runs only if it is told to.
    reach("machines.left")


def _await_sent(
    folder: RunFolder, goes_on: GoesOn, chains: Sequence[Chain], still_s: float
) -> tuple[dict[str, Any], str]:
    """What QEMU tells of a migration that has ended, and why it was told to end it, if it was."""
    began, pause, given_up = time.monotonic(), _FIRST_LOOK_S, ""
    stood_at: float | None = None
    while True:
        with open_session(folder.qmp) as qmp:
            told = mapping(qmp.execute("query-migrate"))
            if text(told, "status") not in _UNDER_WAY:
                return told, given_up
            if text(told, "status") == _BEFORE_DISKS and not given_up:
                given_up = _let_disks_go(qmp, chains)
            now = time.monotonic()
            stood_at = (stood_at or now) if status_of(qmp) == "finish-migrate" else None
            if stood_at is not None and now - stood_at > still_s:
                given_up = "the other host did not say in time that all had come"
            elif now - began > _LONGEST_S:
                given_up = _TOO_FAST
            if given_up:
                qmp.execute("migrate_cancel")
        # Who is asked may take a while, in which nobody else could speak to QEMU.
        if not given_up and stood_at is None and not goes_on(_percent(told)):
            given_up = _CALLED_OFF
        pause = _FIRST_LOOK_S if _is_nearly_sent(told) else min(2 * pause, _LAST_LOOK_S)
        time.sleep(pause)


def recall(folder: RunFolder, may_run: Callable[[], None] = at_once) -> None:
    """What ``port.Machines.recall`` promises. Whoever calls holds the folder."""
    reach("machines.before_recall")
    if folder.arriving.exists():
        raise MachineRefused(f"The guest of {folder.instance} has not run here, and can only be taken over.")
    with open_session(folder.qmp, 2 * _SETTLE_S) as qmp:
        if _state(qmp) in _UNDER_WAY:
            qmp.execute("migrate_cancel")
        _await(lambda: _state(qmp) not in _UNDER_WAY, folder)
        # QEMU lets it run by itself where it has not sent all; a moment after it has said so.
        _await(lambda: status_of(qmp) != "finish-migrate", folder)
        if status_of(qmp) != "running":
            _hold_disks(folder, qmp, may_run)
            qmp.execute("cont")
        reach("machines.goes_on")
        unlocking.forget(qmp)
        keeping.let_go(qmp)
    folder.leaving.unlink(missing_ok=True)
    reach("machines.recalled")


def take_over(
    folder: RunFolder, may_run: Check = at_once, chains: Sequence[Chain] = (), keep_out: Check | None = None
) -> None:
    """What ``port.Machines.take_over`` promises. Whoever calls holds the folder."""
    if process.search(folder) is None:
        if folder.arriving.exists():
            raise MachineRefused(f"The machine that had the guest of {folder.instance} ended before that ran.")
        raise MachineMissing(f"No machine runs for {folder.instance}.")
    try:
        with open_session(folder.qmp) as qmp:
            _let_go_on(folder, qmp, may_run, chains, keep_out)
    except MachineRefused as error:
        if folder.arriving.exists():
            raise
        # What is refused now says nothing of then, and the memory that is left elsewhere may fit the disks no more.
        why = f"The guest of {folder.instance} may have run here, and does not go on: {error}"
        raise MachineSilent(why) from error
    reach("machines.taken_over")


def _let_go_on(
    folder: RunFolder, qmp: Session, may_run: Check, chains: Sequence[Chain], keep_out: Check | None
) -> None:
    """As ``take_over``, and raises MachineRefused too where the guest cannot go back: then its mark is gone."""
    status, may_go_back = status_of(qmp), keep_out is None and folder.arriving.exists()
    if status == "inmigrate":
        raise MachineRefused(f"The guest of {folder.instance} has not come.")
    reach("machines.before_take_over")
    with unlocking.forgetting(qmp):
        if status != "running":
            _tell(qmp, chains)
            _hold_disks(folder, qmp, may_run)
        # On the disk before it can run: a mark that came back would say that the other memory fits the disks still.
        folder.mark_arrived()
        reach("machines.arrived")
        if status != "running":
            if keep_out is not None:
                keep_out()  # From here on the other machine writes nothing any more.
                reach("machines.others_kept_out")
            try:
                qmp.execute("cont")
            except MachineRefused:
                if may_go_back:
                    folder.mark_arriving()
                raise
        reach("machines.runs")


def _tell(qmp: Session, chains: Sequence[Chain]) -> None:
    """Have a machine that waits know its disks' passphrases. Raises MachineRefused where it has others open."""
    blocks.close_unused(qmp)  # What may have been opened ahead of a capture, as in a machine that runs.
    try:
        unlocking.tell(qmp, chains)
    except MachineBusy as error:
        # Nobody has a machine that waits follow a merge, and the guest stands still meanwhile.
        raise MachineRefused(str(error)) from error
    reach("machines.told")


def _hold_disks(folder: RunFolder, qmp: Session, may_run: Callable[[], None]) -> None:
    """Make the disks this machine's, and only then ask whether its guest may run: from then on no other can have them.

    In the other order, who stands still between the two may wake up when the instance has run elsewhere and ended.
    """
    with socket.socket(socket.AF_UNIX) as nobodys:
        place = os.open(folder.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            (folder.path / _HELD).unlink(missing_ok=True)  # Of one that was killed just here.
            nobodys.bind(f"/proc/self/fd/{place}/{_HELD}")
        finally:
            os.close(place)
        (folder.path / _HELD).unlink()
        blocks.hold(qmp, nobodys)
    reach("machines.disks_held")
    may_run()


def _begin(folder: RunFolder, qmp: Session, entrance: Entrance, chains: Sequence[Chain]) -> None:
    """Raises GuestStays where the guest does not run, MachineBusy while layers are merged under it, MachineRefused."""
    if (status := status_of(qmp)) != "running":
        raise GuestStays(f"The guest of {folder.instance} does not run: it is {words(status)}.")
    if folder.thaw_owed.exists() or folder.resumption_owed.exists() or folder.restarting.exists():
        raise MachineBusy(f"The guest of {folder.instance} is owed what a capture or a restart was killed before.")
    require_no_merge(qmp, folder.instance, FILLER)
    blocks.close_unused(qmp)  # What was opened ahead of a capture is opened by its next machine.
    unlocking.require_known(qmp, chains)
    try:
        connection = entrance()
    except MachineMissing as error:
        raise MachineRefused(str(error)) from error
    if connection is None:
        raise MachineRefused(f"Nothing leads to the machine that waits for the guest of {folder.instance}.")
    with connection:
        is_encrypted = bool(within(node for chain in chains for node in chain))
        states = {"return-path": True, "auto-converge": True, "pause-before-switchover": is_encrypted}
        _set_capabilities(qmp, states)
        qmp.execute("migrate-set-parameters", {"max-bandwidth": _BYTES_PER_S, "downtime-limit": _DOWNTIME_MS})
        reach("machines.before_leave")
        folder.mark_leaving()
        keeping.keep(qmp, chains)
        qmp.hand_over(_DEPARTURE, connection.fileno())
        qmp.execute("migrate", {"uri": f"fd:{_DEPARTURE}"})


def _let_disks_go(qmp: Session, chains: Sequence[Chain]) -> str:
    """Have QEMU send the last and let its disks go, all of which it can take back; why it must not, if it must not."""
    try:
        unlocking.tell(qmp, chains)
    except MachineBusy as error:
        return words(error)
    reach("machines.told")
    with suppress(MachineRefused):  # What has ended meanwhile says why where it is asked next.
        qmp.execute("migrate-continue", {"state": _BEFORE_DISKS})
    return ""


def _set_capabilities(qmp: Session, states: dict[str, bool]) -> None:
    each = [{"capability": name, "state": state} for name, state in states.items()]
    qmp.execute("migrate-set-capabilities", {"capabilities": each})


def _state(qmp: Session) -> str:
    """How a migration stands; ``none`` where there was none."""
    told = mapping(qmp.execute("query-migrate"))
    return text(told, "status") if "status" in told else "none"


def _percent(told: dict[str, Any]) -> float:
    """How much of its memory has been sent. What the guest changes meanwhile is to be sent again."""
    memory = mapping(told, "ram") if "ram" in told else {}
    total = number(memory, "total") if memory else 0
    return 100.0 * (total - number(memory, "remaining")) / total if total > 0 else 0.0


def _is_nearly_sent(told: dict[str, Any]) -> bool:
    return "ram" not in told or number(mapping(told, "ram"), "remaining") < _NEARLY_SENT


def _await(is_so: Callable[[], bool], folder: RunFolder) -> None:
    deadline = time.monotonic() + _SETTLE_S
    while not is_so():
        if time.monotonic() > deadline:
            raise MachineSilent(f"QEMU does not end what it does with the guest of {folder.instance}.")
        time.sleep(_FIRST_LOOK_S)
