"""What a guest reaches by the network: nothing of the host, unless the operator has opened it."""

from __future__ import annotations

import contextlib
import socketserver
import threading

import pytest

from kiln.guest.session import open_session
from kiln.machines.qemu import QemuMachines
from tests.guests import guest_image, reachable  # noqa: F401 - fixtures
from tests.machines.disks import Disks, a_machine
from tests.waiting import wait_for

pytestmark = [pytest.mark.vm, pytest.mark.usefixtures("patient")]

SECRET = "secret-of-the-host"


class Tell(socketserver.BaseRequestHandler):
    """What a service of the host says that is for the host alone."""

    def handle(self):
        self.request.sendall(f"{SECRET}\n".encode())


@contextlib.contextmanager
def service_of_the_host():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tell) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("is_open", [False, True], ids=["closed", "open"])
def test_a_guest_reaches_the_hosts_own_addresses_only_where_that_was_opened(reachable, guest_image, is_open):  # noqa: F811
    machines, disks = QemuMachines(reachable / "run", accel="tcg", is_open=is_open), Disks(reachable / "disks")
    disks.bring_in("system", guest_image)
    disks.above("s0", "system", machines.uid("i-1"))
    machines.start(a_machine(drives=[disks.drive("s0", "a")]))
    try:
        with open_session(reachable / "run" / "i-1" / "console") as session, service_of_the_host() as port:
            session.ask("network")
            assert not machines.is_cabled("i-1")
            assert "Alibaba" not in session.ask("read /sys/class/dmi/id/product_name")
            if is_open:
                wait_for(lambda: SECRET in told_at(session, "10.0.2.2", port))
                return
            by_gateway = told_at(session, "10.0.2.2", port)
            # And by a route, under the host's own name for itself.
            session.ask("run ip address del 127.0.0.1/8 dev lo; ip route add 127.0.0.0/8 via 10.0.2.2 dev eth0")
            by_route = told_at(session, "127.0.0.1", port)
    finally:
        machines.stop("i-1", force=True)

    assert SECRET not in by_gateway
    assert SECRET not in by_route


def told_at(session, address, port):
    """What a guest hears there, in the five seconds for which it listens."""
    return session.ask(f"run sleep 5 | nc -w 5 {address} {port}")
