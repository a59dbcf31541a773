"""The postman, before real receivers: what they get, in which order, and what becomes of what they do not take."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from kiln.declare.ids import new_id
from kiln.declare.states import ImageStatus
from kiln.ground.units import DAY_S
from kiln.store.images import images
from kiln.store.outbox import Outbox
from kiln.store.webhooks import parcels, webhooks
from kiln.upkeep.postman import Patience, Postman
from tests.clouds import ACCOUNT
from tests.dying import killed_at
from tests.reading import every, the
from tests.receivers import HERE, receiving
from tests.service.measured import measured
from tests.waiting import wait_for

POINTS = ["postman.before_send", "postman.sent", "postman.recorded"]


@pytest.fixture
def receiver():
    with receiving() as made:
        yield made


@pytest.fixture
def told(cloud, receiver):
    """A cloud whose account has that receiver as its webhook."""
    cloud.refit(may_call=HERE)
    cloud.hook = cloud.call("CreateWebhook", Url=receiver.url)
    return cloud


def go(cloud, patience=None, rounds=1):
    """Visit the webhook, so many times, as its thread would; whether there may be more to be told at once."""
    postman = Postman(cloud.ports, patience)
    return [postman._go_round(cloud.hook["WebhookId"]) for _ in range(rounds)][-1]


def shown(cloud):
    (one,) = cloud.call("DescribeWebhooks")["Webhooks"]["Webhook"]
    return one


def make_images(cloud, count):
    rows = [images.of_values({"id": new_id("image"), "account": ACCOUNT, "status": "Available"}) for _ in range(count)]
    rows = [replace(row, name=row.id) for row in rows]
    cloud.ports.database.write(lambda tx: images.insert(tx, *rows))
    return [row.id for row in rows]


class TestTells:
    def test_a_signed_event_of_each_change_in_order(self, told, receiver):
        (image,) = make_images(told, 1)
        told.ports.database.write(
            lambda tx: images.move(tx, ImageStatus.AVAILABLE, ImageStatus.DEPRECATED, {}, id=image)
        )
        go(told)

        assert [came.event["data"]["state"] for came in receiver.came] == ["Available", "Deprecated"]
        for came in receiver.came:
            assert came.is_signed_with(told.hook["Secret"])
            assert not came.is_signed_with("whsec_" + "A" * 43 + "=")
            assert came.headers["content-type"].startswith("application/cloudevents+json")
            assert (came.event["id"], came.event["aliyunaccountid"]) == (came.id, ACCOUNT)
            assert came.event["type"] == "kiln:Image:StateChange"
        assert shown(told)["DeliveredCount"] == 2
        assert every(told, parcels) == []

    def test_more_than_go_together_one_after_the_other(self, told, receiver):
        made = make_images(told, 20)

        assert go(told)
        assert go(told)
        assert not go(told)
        assert [came.event["data"]["resourceId"] for came in receiver.came] == made

    def test_again_what_failed_before_what_follows(self, told, receiver):
        one, two = make_images(told, 2)
        receiver.answers = [500, 204]
        before = measured(told)

        assert not go(told)
        failed = shown(told)
        assert measured(told)("kiln_webhook_events_waiting") == 2
        go(told)

        found = measured(told)
        tries = [found.since(before, "kiln_webhook_tries_total", outcome=how) for how in ("failed", "taken")]
        assert tries == [1, 2]

        assert [came.event["data"]["resourceId"] for came in receiver.came] == [one, one, two]
        assert receiver.came[0].id == receiver.came[1].id
        assert (failed["LastStatus"], failed["LastError"], failed["WaitingCount"]) == (500, "it answered 500", 2)
        assert failed["NextTryTime"]
        assert (shown(told)["LastError"], shown(told)["NextTryTime"]) == ("", "")

    def test_ever_less_often(self, told, receiver):
        make_images(told, 1)
        receiver.answers = [500]
        patience = Patience(pauses_s=(10.0, 100.0))
        pauses = []
        for _ in range(3):
            go(told, patience)
            pauses.append(the(told, webhooks).not_before - told.clock.now)

        assert pauses == [pytest.approx(10, rel=0.11), *[pytest.approx(100, rel=0.11)] * 2]

    @pytest.mark.parametrize("point", POINTS)
    def test_after_a_kill_nothing_less_and_what_comes_twice_under_its_id(self, told, receiver, point):
        made = make_images(told, 3)
        with killed_at(point):
            go(told)
        go(told)

        ids = {came.id: came.event["data"]["resourceId"] for came in receiver.came}
        assert list(ids.values()) == made
        assert every(told, parcels) == []


class TestGivesUp:
    def test_what_failed_too_often_and_says_so_before_what_follows(self, told, receiver):
        _, two = make_images(told, 2)
        receiver.answers = [500, 500, 204]

        go(told, Patience(attempts=2), rounds=4)

        kinds = [came.event["type"] for came in receiver.came]
        assert kinds == ["kiln:Image:StateChange"] * 3 + ["kiln:Webhook:Missed"]
        assert receiver.came[2].event["data"]["resourceId"] == two
        assert receiver.came[3].event["data"]["missed"] == 1
        assert receiver.came[3].is_signed_with(told.hook["Secret"])
        assert (shown(told)["MissedCount"], shown(told)["DeliveredCount"]) == (1, 1)

    def test_what_is_too_old(self, told, receiver):
        make_images(told, 2)
        told.clock.now += DAY_S + 60
        go(told, rounds=2)

        assert [came.event["data"].get("missed") for came in receiver.came] == [2]

    def test_what_is_too_much(self, told, receiver):
        told.refit(outbox=Outbox(told.clock, most_waiting=3))
        told.ports.outbox.attach(told.ports.database)
        made = make_images(told, 5)
        Postman(told.ports)._look_around()
        go(told)

        first, *others = [came.event["data"] for came in receiver.came]
        assert first["missed"] == 2
        assert [data["resourceId"] for data in others] == made[:3]

    def test_what_was_too_much_once_the_database_takes_the_number(self, told):
        told.refit(outbox=Outbox(told.clock, most_waiting=3))
        told.ports.outbox.attach(told.ports.database)
        make_images(told, 5)
        database, postman = told.ports.database, Postman(told.ports)

        def refuse(_: object) -> None:
            raise OSError("no more")

        database.fence = refuse
        with pytest.raises(OSError, match="no more"):
            postman._look_around()
        database.fence = None
        postman._look_around()

        assert the(told, webhooks).missed == 2

    def test_what_was_lost_uncounted_by_a_run_that_was_killed(self, told, receiver):
        told.refit(outbox=Outbox(told.clock, most_waiting=3))
        make_images(told, 3)
        postman = Postman(told.ports)
        postman._suspect()
        postman._look_around()

        assert the(told, webhooks).missed == 1

    def test_what_is_of_a_webhook_that_is_gone(self, told):
        make_images(told, 1)
        told.ports.database.write(webhooks.delete)
        Postman(told.ports)._look_around()

        assert every(told, parcels) == []

    def test_each_loss_is_told_once_and_under_an_id_of_its_own(self, told, receiver):
        for _ in range(2):
            make_images(told, 1)
            told.clock.now += DAY_S + 60
            go(told, rounds=3)

        assert [came.event["data"]["missed"] for came in receiver.came] == [1, 1]
        assert len({came.id for came in receiver.came}) == 2


class TestSwitchesOff:
    def test_who_has_failed_for_days(self, told, receiver):
        receiver.answers = [500]
        patience = Patience(attempts=2, oldest_s=9 * DAY_S)
        make_images(told, 2)
        go(told, patience)
        told.clock.now += 3 * DAY_S + 60
        go(told, patience)

        one = shown(told)
        assert (one["Status"], one["WaitingCount"], one["MissedCount"]) == ("Off", 0, 2)
        assert "it answered 500" in one["Reason"]
        make_images(told, 1)
        assert every(told, parcels) == []

    def test_nobody_who_was_seldom_tried_in_these_days(self, told, receiver):
        receiver.answers = [500]
        patience = Patience(attempts=3, oldest_s=9 * DAY_S)
        make_images(told, 1)
        go(told, patience)
        told.clock.now += 3 * DAY_S + 60
        go(told, patience)

        assert shown(told)["Status"] == "On"

    def test_who_says_that_it_is_gone(self, told, receiver):
        make_images(told, 1)
        receiver.answers = [410]
        go(told)

        assert (shown(told)["Status"], shown(told)["Reason"]) == ("Off", "it answered 410 Gone")

    def test_until_a_test_succeeds(self, told, receiver):
        receiver.answers = [410, 500, 204]
        make_images(told, 1)
        go(told)
        told.call("TestWebhook", WebhookId=told.hook["WebhookId"])
        go(told, rounds=2)
        assert (shown(told)["Status"], shown(told)["LastError"]) == ("Off", "it answered 500")
        event = told.call("TestWebhook", WebhookId=told.hook["WebhookId"])["EventId"]
        go(told, rounds=2)

        assert (shown(told)["Status"], shown(told)["Reason"]) == ("On", "")
        missed, test = receiver.came[-2:]
        assert missed.event["data"]["missed"] == 1
        assert (test.id, test.event["type"]) == (event, "kiln:Webhook:Test")
        make_images(told, 1)
        go(told)
        assert receiver.came[-1].event["type"] == "kiln:Image:StateChange"

    def test_whose_secret_cannot_be_opened(self, told, receiver):
        def lost(_):
            raise ValueError("it was sealed with another master key")

        make_images(told, 1)
        told.refit(unseal=lost)
        go(told)

        assert "another master key" in shown(told)["Reason"]
        assert receiver.came == []


def test_reaches_nobody_whom_the_operator_does_not_let_it_reach(told, receiver):
    """What was let before, too."""
    make_images(told, 1)
    told.refit(may_call=type(HERE)("public"))
    go(told)

    assert receiver.came == []
    assert "webhooks_to" in shown(told)["LastError"]


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
