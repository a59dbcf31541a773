"""The console of a machine on another host, shown and typed into here."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest

from kiln.machines.errors import MachineMissing
from kiln.wire.paths.consoles import ENDED, ConsoleLost, Consoles, Viewer
from kiln.wire.peers import frames
from kiln.wire.peers.lines import Lines
from tests.clouds import make_cloud
from tests.consoled import Consoled, a_running_instance
from tests.wire.peers.deployments import Deployment, loop  # noqa: F401 - a fixture.


class Looking:
    """Who looks from a process that has no machines."""

    def __init__(self, deployed: Deployment) -> None:
        self.deployed = deployed
        self.consoles = Consoles(None, Lines(deployed.asking, deployed.cloud.ports.database))
        self.instance = a_running_instance(deployed.cloud, host="far")
        self.shown = {}

    def join(self):
        """One more who looks, and what is looked at. Raises MachineError."""
        viewer = self.deployed.loop.made(Viewer)
        return viewer, self.deployed.loop.run(self.consoles.join(self.instance, viewer))

    def until(self, viewer, text):
        """Wait until it has been shown."""
        shown = self.shown.setdefault(viewer, bytearray())
        while text not in shown:
            shown += self.deployed.loop.run(viewer.take(1000))

    def leave(self, viewer, console):
        self.deployed.loop.run(console.leave(viewer))

    def reason(self, viewer):
        self.deployed.loop.run(viewer.ended.wait())
        return viewer.reason

    def guest(self):
        """The far end of the console that was connected to last."""
        return closing(self.deployed.cloud.ports.machines.guests.get(timeout=300))


@pytest.fixture
def looking(loop, tmp_path, sqlite):  # noqa: F811
    with closing(Consoled(tmp_path / "run", b"booted\r\n")) as machines:
        yield Looking(Deployment(loop, make_cloud(tmp_path, sqlite, machines=machines), tmp_path))


def test_shows_what_is_printed_there_and_types_what_is_typed_here(looking):
    with looking.deployed.answering():
        viewer, console = looking.join()
        with looking.guest() as far:
            looking.until(viewer, b"booted")
            far.sendall(b"login: ")
            looking.until(viewer, b"login: ")
            looking.deployed.loop.run(console.type(bytes(range(256))))
            assert far.recv(1000) == bytes(range(256))
            looking.leave(viewer, console)
            assert far.recv(1000) == b""


def test_much_that_is_printed_comes_whole_and_in_order(looking):
    printed = b"".join(b"%07d\n" % n for n in range(20_000))
    with looking.deployed.answering():
        viewer, console = looking.join()
        with looking.guest() as far:
            for begin in range(0, len(printed), 8000):
                far.sendall(printed[begin : begin + 8000])
                looking.until(viewer, printed[begin : begin + 8000][-8:])
            looking.leave(viewer, console)
    assert printed in looking.shown[viewer]


def test_all_who_look_here_share_one_connection(looking):
    with looking.deployed.answering():
        first, console = looking.join()
        second, same = looking.join()
        assert same is console
        with looking.guest() as far:
            far.sendall(b"to all")
            looking.until(first, b"to all")
            looking.until(second, b"to all")
            looking.leave(first, console)
            far.sendall(b"still")
            looking.until(second, b"still")
            looking.leave(second, console)


def test_says_that_the_machine_has_stopped(looking):
    with looking.deployed.answering():
        viewer, _ = looking.join()
        with looking.guest():
            pass
        assert looking.reason(viewer) == ENDED


def test_says_that_its_host_has_gone(looking):
    with looking.deployed.answering():
        viewer, _ = looking.join()
        looking.guest()
    assert looking.reason(viewer) == frames.LOST


def test_what_cannot_be_joined_there_cannot_be_joined_here(looking):
    looking.deployed.cloud.ports.machines.is_busy = True
    with looking.deployed.answering(), pytest.raises(MachineMissing, match=r"host far.*Another program is connected"):
        looking.join()


def test_a_host_that_is_not_there_is_named(looking):
    with looking.deployed.answering():
        pass
    with pytest.raises(MachineMissing, match="The host far, which the instance is on, could not be asked"):
        looking.join()


def test_one_that_is_asked_leads_nobody_on_to_a_third(looking):
    looking.deployed.is_far = False
    with looking.deployed.answering(), pytest.raises(MachineMissing, match="on another host by now"):
        looking.join()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (frames.frame(frames.END, b"a reason\x1b[2J"), r"^a reason\[2J$"),
        (b"x\0\0", "makes no sense"),
        (b"o\0\5abc", "has stopped, or does not answer"),
        (b"", "has stopped, or does not answer"),
    ],
)
def test_what_a_host_says_is_read_as_bytes_from_outside(said, why):
    async def read():
        reader = asyncio.StreamReader()
        reader.feed_data(frames.frame(frames.BEAT) + said)
        reader.feed_eof()
        return await frames.Source(reader).read(1)

    with pytest.raises(ConsoleLost, match=why):
        asyncio.run(read())


def test_a_host_that_says_nothing_more_is_given_up():
    async def read():
        return await frames.Source(asyncio.StreamReader(), silent_s=0.01).read(1)

    with pytest.raises(ConsoleLost, match="does not answer"):
        asyncio.run(read())
