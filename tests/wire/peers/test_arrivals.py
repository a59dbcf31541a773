"""Guests come to a host by the connection on which both processes have proved who they are."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
import threading
import uuid
from dataclasses import replace

import pytest

from kiln.declare.facts import dump
from kiln.declare.states import InstanceStatus
from kiln.machines.moving import STILL_S
from kiln.machines.none import NoMachines
from kiln.machines.port import Make
from kiln.pools.errors import PoolFull
from kiln.service.peers import prove
from kiln.store import hosts
from kiln.store.errors import DatabaseBusy, DatabaseDown
from kiln.store.hosts import Room
from kiln.store.instances import instances
from kiln.store.tasks import note
from kiln.upkeep.moves import SENDING, MoveFacts, ask_for
from kiln.wire.peers import answering as far
from kiln.wire.peers import words
from kiln.wire.peers.passage import STALLS_S
from kiln.wire.peers.proof import name_of
from kiln.wire.peers.words import NotUnderstood, Question
from tests.clouds import make_cloud
from tests.stock import an_instance
from tests.waiting import wait_for
from tests.wire.peers import test_passage as passage
from tests.wire.peers.deployments import Deployment, loop  # noqa: F401 - a fixture.

MAKE = Make(program="QEMU 7.2", board="pc-q35-7.2", engine="TCG")
BYTES = os.urandom(3 << 20)


class Arrivals(NoMachines):
    """Machines that are only states, whose guests come by a way nevertheless; its far end is kept."""

    def __init__(self, folder):
        super().__init__(folder)
        self.makes, self.came, self.failure = [], None, None
        #: An arrival has begun for each that is released, and goes on when that is set.
        self.begun, self.may_go_on = threading.Semaphore(0), threading.Event()
        self.may_go_on.set()

    def receive(self, machine, make):
        self.begun.release()
        assert self.may_go_on.wait(300)
        if self.failure is not None:
            raise self.failure
        super().receive(machine, make)
        self.makes.append(make)

    def entrance(self, instance):
        way, self.came = socket.socketpair()
        return way


@pytest.fixture
def deployed(loop, tmp_path, sqlite):  # noqa: F811
    it = Deployment(loop, make_cloud(tmp_path, sqlite, machines=Arrivals(tmp_path / "run")), tmp_path)
    it.cloud.refit(is_alone=False)
    return it


def awaited(deployed):
    """An instance whose guest is to come to the host that is asked."""
    cloud = deployed.cloud
    row = an_instance(cloud, status=InstanceStatus.RUNNING, started_at=cloud.clock(), host="near")

    def ask(tx):
        hosts.come(tx, cloud.ports.host, "of-far", Room(cpus=64, memory_mib=1 << 17), cloud.clock())
        task = ask_for(tx, instances.find(tx, id=row.id), cloud.clock(), live=True)
        note(tx, task, dump(MoveFacts(stage=SENDING, live=True, source="near", target=cloud.ports.host)))

    cloud.ports.database.write(ask)
    return row.id


def send(end, sent):
    thread = threading.Thread(target=end.sendall, args=[sent])
    thread.start()
    return thread


def read(end, count):
    found = b""
    while len(found) < count and (piece := end.recv(1 << 16)):
        found += piece
    return found


def test_what_is_sent_on_either_side_comes_whole_to_the_other(deployed):
    instance = awaited(deployed)
    with deployed.answering():
        near = deployed.asking.entrance(None, "far", instance, MAKE).result(300)
        far = deployed.cloud.ports.machines.came
        assert deployed.cloud.ports.machines.makes == [MAKE]
        for one, other in ((near, far), (far, near)):
            sending = send(one, BYTES)
            assert read(other, len(BYTES)) == BYTES
            sending.join()
        send(near, b"the last").join()
        near.close()
        assert read(far, 100) == b"the last"
        far.close()


def test_who_ends_it_on_one_side_ends_it_on_the_other(deployed):
    instance = awaited(deployed)
    with deployed.answering():
        near = deployed.asking.entrance(None, "far", instance, MAKE).result(300)
        deployed.cloud.ports.machines.came.close()
        assert near.recv(1) == b""
        near.close()


@pytest.mark.parametrize("side", ["near", "far"])
def test_one_that_nobody_takes_is_left_by_whichever_side_notices(loop, tmp_path, sqlite, side):  # noqa: F811
    """It may stand still meanwhile, and the machine that it is to go on in as well."""
    cloud = make_cloud(tmp_path, sqlite, machines=Arrivals(tmp_path / "run"))
    it = Deployment(loop, cloud, tmp_path, **{f"{side}_stalls_s": 0.1})
    it.cloud.refit(is_alone=False)
    instance = awaited(it)
    with it.answering():
        near = it.asking.entrance(None, "far", instance, MAKE).result(300)
        with near, it.cloud.ports.machines.came:
            sending = threading.Thread(target=passage.send, args=[near])
            sending.start()
            sending.join()
            assert passage.is_closed(near)


def test_no_guest_stands_still_for_longer_than_is_said():
    """Until its last pages are not taken, and then until nobody says that all has come: two minutes at most."""
    assert STALLS_S + STILL_S <= 120.0


def test_a_guest_that_is_not_awaited_is_not_let_in(deployed):
    instance = an_instance(deployed.cloud, status=InstanceStatus.RUNNING, host="near").id
    with deployed.answering():
        asked = deployed.asking.entrance(None, "far", instance, MAKE)
        assert deployed.refuses(asked) == f"the guest of {instance} is not to come here"
    assert deployed.cloud.ports.machines.makes == []


def test_a_guest_that_has_a_cable_is_not_let_in_where_no_networks_are_carried(deployed):
    instance = awaited(deployed)
    with deployed.answering():
        asked = deployed.asking.entrance(None, "far", instance, replace(MAKE, is_cabled=True))
        assert "this host carries no networks" in deployed.refuses(asked)
    assert deployed.cloud.ports.machines.makes == []


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (DatabaseDown("server closed the connection"), "it has lost its database"),
        (DatabaseBusy("database is locked"), "it has lost its database"),
        (OSError(errno.ENOSPC, "No space left on device"), "its disk or a limit of it failed"),
        (PoolFull("No space left on device"), "No space left on device"),
        (KeyError("x"), "it failed"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else "",
)
def test_who_sends_a_guest_hears_what_the_other_host_failed_with(deployed, failure, told):
    """The connection ended without a word, and it was told that the host could not be reached."""
    instance = awaited(deployed)
    deployed.cloud.ports.machines.failure = failure
    with deployed.answering():
        assert deployed.refuses(deployed.asking.entrance(None, "far", instance, MAKE)) == told


def test_arrivals_that_take_long_keep_nobody_else_from_an_answer(deployed):
    """As many as questions are looked up at a time; each waits for a machine that does not come to wait."""
    machines, instances = deployed.cloud.ports.machines, [awaited(deployed) for _ in range(8)]
    machines.may_go_on.clear()
    with deployed.answering():
        coming = [deployed.asking.entrance(None, "far", one, MAKE) for one in instances]
        try:
            for _ in coming:
                assert machines.begun.acquire(timeout=300)
            assert deployed.console().result(300) == b""
        finally:
            machines.failure = PoolFull("No space left on device")
            machines.may_go_on.set()
        assert {deployed.refuses(one) for one in coming} == {"No space left on device"}


@pytest.mark.parametrize("comes", ["later", "just then"])
def test_a_way_that_comes_to_who_has_given_up_is_closed_on_both_sides(deployed, comes):
    machines, instance = deployed.cloud.ports.machines, awaited(deployed)
    machines.may_go_on.clear()
    with deployed.answering():
        asked = deployed.asking.entrance(None, "far", instance, MAKE)
        assert machines.begun.acquire(timeout=300)

        async def give_up():
            (entering,) = [task for task in asyncio.all_tasks() if "_enter" in repr(task.get_coro())]
            if comes == "just then":
                machines.may_go_on.set()
                while not entering.done():  # noqa: ASYNC110 - nothing tells it sooner.
                    await asyncio.sleep(0)  # Each time before whoever waits is told of anything.
            return asked.cancel()

        assert deployed.loop.run(give_up())
        machines.may_go_on.set()
        wait_for(lambda: machines.came is not None, within_s=300)
        machines.came.settimeout(300)
        assert machines.came.recv(1) == b""
        machines.came.close()
        gc.collect()  # What was left open would be found now, and fail this.


def test_no_machine_is_made_for_who_has_left_before_its_turn(deployed, monkeypatch):
    """It would end the machine to which the next try has sent the guest by then."""
    monkeypatch.setattr(far, "PROOF_S", 300.0)
    machines, instances = deployed.cloud.ports.machines, [awaited(deployed) for _ in range(far._ARRIVALS_AT_ONCE)]
    machines.may_go_on.clear()
    with deployed.answering() as address:
        coming = [deployed.asking.entrance(None, "far", one, MAKE) for one in instances]
        try:
            for _ in coming:
                assert machines.begun.acquire(timeout=300)
            ask_and_leave(deployed, address, instances[0])
        finally:
            machines.failure = PoolFull("No space left on device")
            machines.may_go_on.set()
        coming.append(deployed.asking.entrance(None, "far", instances[0], MAKE))
        assert {deployed.refuses(one) for one in coming} == {"No space left on device"}
        assert machines.begun.acquire(timeout=300), "who came last, and stayed"
        assert not machines.begun.acquire(blocking=False)


def ask_and_leave(deployed, address, instance):
    """Ask for an arrival; returns when the other side has taken note that nobody waits for an answer any more."""
    proof = prove(deployed.sealer, uuid.uuid4().hex)
    with (
        socket.create_connection(address, timeout=300) as plain,
        proof.asks.wrap_socket(plain, server_hostname=name_of(deployed.member.id)) as proved,
    ):
        proved.sendall(words.line_of(Question(about=words.ARRIVAL, instances=(instance,), make=MAKE)))
        proved.unwrap()


@pytest.mark.parametrize("is_cabled", [False, True])
def test_what_a_machine_is_made_of_is_told_and_read(is_cabled):
    asked = Question(about=words.ARRIVAL, instances=("i-1",), make=replace(MAKE, is_cabled=is_cabled))

    assert words.question_of(words.line_of(asked)) == asked


@pytest.mark.parametrize("make", ["[]", '"QEMU"', "{}", '{"program": "a", "board": 7, "engine": "b"}'])
def test_what_makes_no_sense_as_a_make_is_no_question(make):
    with pytest.raises(NotUnderstood):
        words.question_of(b'{"about": "arrival", "instances": ["i-1"], "make": ' + make.encode() + b"}")


@pytest.mark.parametrize("found", [{}, {"comes": 1}, {"comes": "yes"}])
def test_what_does_not_say_how_the_guest_comes_is_no_answer(found):
    with pytest.raises(NotUnderstood):
        words.arrival_of(found)
