"""The postman with its threads: who is told when, and what it says of itself. What is told: ``test_delivery``."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from kiln.ground.units import DAY_S
from kiln.store.errors import DatabaseFull
from kiln.store.webhooks import webhooks
from kiln.upkeep.delivery import Patience
from kiln.upkeep.postman import Postman
from tests.receivers import HERE, receiving
from tests.stock import make_images
from tests.waiting import wait_for


def test_tells_as_soon_as_something_happens_and_lets_nobody_wait_for_others(told, receiver):
    """With its threads: one who does not answer does not hold up who does, nor the stop."""
    with receiving() as other, socket.create_server(("127.0.0.1", 0)) as silent:
        told.call("CreateWebhook", Url="http://{}:{}/".format(*silent.getsockname()))
        told.call("CreateWebhook", Url=other.url)
        with Postman(told.ports, Patience(within_s=20, pauses_s=(1000.0,))):
            made = make_images(told, 3)
            wait_for(lambda: len(other.came) == len(receiver.came) == 3)
            assert [came.event["data"]["resourceId"] for came in other.came] == made


def test_a_clock_that_was_set_back_makes_nobody_wait(told, receiver):
    make_images(told, 1)
    ahead = told.clock.now + DAY_S
    told.ports.database.write(lambda tx: webhooks.update(tx, {"not_before": ahead}, id=told.hook["WebhookId"]))

    with Postman(told.ports):
        wait_for(lambda: receiver.came)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_says_that_it_has_ended_though_nobody_stopped_it(cloud):
    def end() -> float:
        raise SystemExit

    postman = Postman(replace(cloud.ports, may_call=HERE, clock=end))
    with postman:
        wait_for(lambda: postman.dead() == ["postman"])

    assert postman.dead() == []


def test_waits_until_what_was_refused_may_be_tried_again(told, receiver):
    """Though there is something to be told: or it would look without end."""
    make_images(told, 1)
    receiver.answers = [500]
    with Postman(told.ports, Patience(pauses_s=(50.0,))) as postman:
        wait_for(lambda: 45 <= postman.send_out() <= 55)

        assert len(receiver.came) == 1


def test_says_that_the_database_takes_no_record(told, receiver):
    def refuse(_: object) -> None:
        raise DatabaseFull("no more")

    make_images(told, 1)
    told.ports.database.fence = refuse
    with Postman(told.ports, Patience(pauses_s=(0.01,))) as postman:
        wait_for(lambda: "takes no record" in postman.trouble)
        told.ports.database.fence = None
        wait_for(lambda: not postman.trouble)

        assert len(receiver.came) == 1


def test_says_that_it_could_not_look(told, receiver):
    def refuse(_: object) -> None:
        raise OSError("no more")

    with Postman(told.ports, Patience()) as postman:
        told.ports.database.fence = refuse
        told.ports.outbox.lose({told.hook["WebhookId"]: 1})
        postman.ring()
        wait_for(lambda: "no more" in postman.trouble)
        told.ports.database.fence = None
        postman.ring()
        wait_for(lambda: not postman.trouble)
        wait_for(lambda: receiver.came)

        assert receiver.came[0].event["data"]["missed"] == 1
