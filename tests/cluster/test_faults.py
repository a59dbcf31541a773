"""Workers that are killed, stand still or are stopped for another version: what they had begun is ended by others."""

from __future__ import annotations

import os
import signal
import threading
import uuid
from itertools import count

import pytest

from tests.cluster.deployments import says, wait_until_says
from tests.waiting import wait_for

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]


def test_what_a_worker_was_killed_in_another_ends(deployed):
    caller = deployed.caller(deployed.start("api", "api"))
    one = deployed.start("one", "worker", kill_at="worker.ImportImage.claimed")
    image = deployed.ask_for_image(caller)
    assert one.process.wait(300) == 137
    two = deployed.start("two", "worker")

    caller.image_comes(image)

    assert says(two, "processes_silent")
    assert deployed.hosts() == {"api": "api", "two": "worker"}


def test_a_worker_that_stood_still_changes_nothing_when_it_comes_to_itself(deployed):
    """Stopped with its host, it is given up, and what it had begun is another's; then it goes on, and joins again."""
    caller = deployed.caller(deployed.start("api", "api"))
    one, two = deployed.start("one", "worker"), deployed.start("two", "worker")
    os.kill(one.process.pid, signal.SIGSTOP)
    try:
        images = [deployed.ask_for_image(caller) for _ in range(3)]
        for image in images:
            caller.image_comes(image)
        wait_until_says(two, "processes_silent")
    finally:
        os.kill(one.process.pid, signal.SIGCONT)

    wait_until_says(one, "joined_again")
    assert deployed.hosts() == {"api": "api", "one": "worker", "two": "worker"}
    caller.image_comes(deployed.ask_for_image(caller))


def test_no_call_fails_while_every_process_is_started_again(deployed):
    """As a balancer has it, which asks no door that is about to close. The clients try nothing twice."""
    doors = [deployed.start(f"api-{n}", "api") for n in (1, 2)]
    workers = [deployed.start(f"worker-{n}", "worker") for n in (1, 2)]
    clients = {door.data.name: deployed.client(door) for door in doors}
    open_doors, busy = set(clients), dict.fromkeys(clients, 0)
    turn, stop, made, failed = threading.Condition(), threading.Event(), [], []

    def work(number):
        for n in count():
            if stop.is_set():
                return
            with turn:
                name = sorted(open_doors)[(n + number) % len(open_doors)]
                busy[name] += 1
            try:
                asked = {"ZoneId": f"{doors[0].region}-a", "Size": 20, "DiskCategory": "cloud_essd"}
                made.append(clients[name].call("CreateDisk", {**asked, "ClientToken": uuid.uuid4().hex})["DiskId"])
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not be.
                failed.append(error)
                return
            finally:
                with turn:
                    busy[name] -= 1
                    turn.notify_all()

    threads = [threading.Thread(target=work, args=[n]) for n in range(2)]
    for thread in threads:
        thread.start()
    try:
        for worker in workers:
            worker.restart()
        for door in doors:
            name = door.data.name
            with turn:
                open_doors.discard(name)
                assert turn.wait_for(lambda name=name: not busy[name], 300)
            door.restart()
            with turn:
                open_doors.add(name)
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    assert failed == []
    assert len(made) > len(doors)
    wait_for(
        lambda: deployed.ask("SELECT count(*) FROM disks WHERE status = 'Available'") == [(len(made),)], within_s=300
    )
    assert deployed.ask("SELECT generation FROM deployment") == [(1,)]
