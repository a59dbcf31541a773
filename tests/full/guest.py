"""A running guest whose pool is full: it waits, loses nothing, and goes on by itself when there is room again.

unshare [--map-root-user] --mount python -m tests.full.guest FOLDER IMAGE
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from kiln.machines.errors import MachineSilent
from kiln.machines.qmp import execute
from tests.full.scenarios import fill, mount
from tests.kill.hosts import Host, open_host
from tests.kill.verdicts import at_rest, crashes


def main(folder: Path, guest: Path) -> None:
    mount(folder / "data" / "pool", 64)
    with open_host(folder, guest) as host:
        _stay(host, host.kiln.data / "pool")
    # A start on a full pool goes on with the present generation, and the log has the reason.
    assert crashes(host.kiln.log.read_text()) == {"PoolFull"}
    with at_rest(host.kiln.data):
        pass


def _stay(host: Host, pool: Path) -> None:
    session, pid = host.session, host.pid
    assert pid is not None
    session.ask("fill /data1/before 2")
    session.ask("sync")
    kept = session.ask("sum /data1/before")
    # A Kiln that ends takes the overlay away that was written ahead, and one that starts finds no room for another.
    host.kiln.stop()
    filler = fill(pool)
    host.kiln.start()

    # A freeze fails, and the guest goes on as if nothing had been asked.
    assert _end_of_an_image(host) == "CreateFailed"
    assert host.pid == pid
    assert session.ask("sum /data1/before") == kept

    # What finds no room makes the guest wait.
    asking = threading.Thread(target=session.ask, args=["fill /data2/while 8"])
    asking.start()
    host.caller.wait(lambda: _machine(host) == "io-error" or not asking.is_alive())
    if not asking.is_alive():
        # The guest still had it in its memory.
        asking = threading.Thread(target=session.ask, args=["sync"])
        asking.start()
        host.caller.wait(lambda: _machine(host) == "io-error")
    filler.unlink()
    asking.join()
    host.caller.wait(lambda: _machine(host) == "running")
    written = session.ask("sum /data2/while")
    session.ask("sync")
    session.ask("run echo 3 >/proc/sys/vm/drop_caches")
    assert (session.ask("sum /data1/before"), session.ask("sum /data2/while")) == (kept, written)

    made = host.caller.ask("CreateImage", InstanceId=host.instance)["ImageId"]
    host.caller.image_comes(made)
    numbers = host.numbers(made)
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[0] - numbers[-1] <= 1
    assert host.lives(pid)


def _end_of_an_image(host: Host) -> str:
    """The status in which a CreateImage of the machine ends."""
    image = host.caller.ask("CreateImage", InstanceId=host.instance)["ImageId"]
    host.caller.wait(lambda: _status(host, image) != "Creating")
    return _status(host, image)


def _status(host: Host, image: str) -> str:
    (row,) = host.caller.ask("DescribeImages", ImageId=image, Status="ALL")["Images"]["Image"]
    return str(row["Status"])


def _machine(host: Host) -> str:
    """What QEMU says of the machine; nothing where it is too busy to say so."""
    try:
        return str(execute(host.kiln.data / "run" / host.instance / "qmp", "query-status")["status"])
    except MachineSilent:
        return ""


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
