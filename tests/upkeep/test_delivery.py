"""Telling webhooks, before real receivers: what they get, in which order, and what becomes of what they do not take."""

from __future__ import annotations

import pytest

from kiln.declare.states import ImageStatus
from kiln.ground.units import DAY_S
from kiln.store.errors import DatabaseFull
from kiln.store.images import images
from kiln.store.outbox import Outbox
from kiln.store.webhooks import parcels, webhooks
from kiln.upkeep.delivery import Delivery, Patience
from kiln.upkeep.postman import Postman
from tests.clouds import ACCOUNT
from tests.dying import killed_at
from tests.reading import every, the
from tests.receivers import HERE
from tests.service.measured import measured
from tests.stock import make_images

NOBODY = "http://127.0.0.1:1/"  #: The port of a service that no host has any more.
POINTS = ["postman.before_send", "postman.sent", "postman.recorded"]


def go(cloud, patience=None, rounds=1):
    """Visit the webhook, so many times, after a start; whether there may be more to be told at once."""
    delivery = Delivery(cloud.ports, patience)
    return [delivery.tell(cloud.hook["WebhookId"]) for _ in range(rounds)][-1]


def shown(cloud):
    (one,) = cloud.call("DescribeWebhooks")["Webhooks"]["Webhook"]
    return one


def change(cloud, image):
    """Have the image change its state once more."""
    cloud.ports.database.write(lambda tx: images.move(tx, ImageStatus.AVAILABLE, ImageStatus.DEPRECATED, {}, id=image))


def told_of(receiver):
    """Of which resources it was told, one after the other; what it was told of itself is left out."""
    return [came.event["data"]["resourceId"] for came in receiver.came if "resourceId" in came.event["data"]]


class TestTells:
    def test_a_signed_event_of_each_change_in_order(self, told, receiver):
        (image,) = make_images(told, 1)
        change(told, image)
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

    def test_what_changes_no_record_of_the_pool(self, told, receiver):
        touched = []
        told.ports.database.tell = touched.extend
        make_images(told, 1)
        go(told)

        assert shown(told)["DeliveredCount"] == 1
        assert "webhook" not in {kind for kind, _ in touched}
        told.call("DeleteWebhook", WebhookId=told.hook["WebhookId"])
        assert ("webhook", told.hook["WebhookId"]) in touched

    def test_more_than_go_together_one_after_the_other(self, told, receiver):
        made = make_images(told, 20)

        assert go(told)
        assert go(told)
        assert not go(told)
        assert [came.event["data"]["resourceId"] for came in receiver.came] == made

    def test_again_what_failed_before_what_follows_of_the_same_resource(self, told, receiver):
        (image,) = make_images(told, 1)
        change(told, image)
        receiver.answers = [500, 204]
        before = measured(told)

        go(told)
        failed = shown(told)
        assert measured(told)("kiln_webhook_events_waiting") == 2
        go(told)

        found = measured(told)
        tries = [found.since(before, "kiln_webhook_tries_total", outcome=how) for how in ("failed", "taken")]
        assert tries == [1, 2]

        assert [came.event["data"]["state"] for came in receiver.came] == ["Available", "Available", "Deprecated"]
        assert receiver.came[0].id == receiver.came[1].id
        assert (failed["LastStatus"], failed["LastError"]) == (500, "it answered 500")
        assert (failed["WaitingCount"], failed["HeldCount"]) == (2, 2)
        assert (shown(told)["LastError"], shown(told)["HeldCount"]) == ("", 0)

    def test_what_others_are_about_while_one_is_never_taken(self, told, receiver):
        refused, *others = make_images(told, 40)
        change(told, refused)
        receiver.refused = {refused}
        delivery = Delivery(told.ports)
        while delivery.tell(told.hook["WebhookId"]):
            pass

        assert told_of(receiver) == [refused, *others]
        assert (shown(told)["WaitingCount"], shown(told)["HeldCount"], shown(told)["NextTryTime"]) == (2, 2, "")
        # However often it is visited, as for what comes later.
        (later,) = make_images(told, 1)
        assert [delivery.tell(told.hook["WebhookId"]) for _ in range(3)] == [True, False, False]
        assert told_of(receiver)[len(others) + 1 :] == [later]
        told.clock.now += 6
        delivery.tell(told.hook["WebhookId"])
        assert told_of(receiver)[len(others) + 2 :] == [refused]

    def test_nothing_for_a_while_to_who_refuses_one_after_the_other_and_then_others_first(self, told, receiver):
        made = make_images(told, 8)
        receiver.refused = set(made[:5])
        delivery = Delivery(told.ports)

        assert not delivery.tell(told.hook["WebhookId"])
        assert told_of(receiver) == made[:3]
        assert shown(told)["NextTryTime"]
        told.clock.now += 6
        delivery.tell(told.hook["WebhookId"])
        assert told_of(receiver)[3:8] == made[3:]
        assert shown(told)["DeliveredCount"] == 3
        assert set(told_of(receiver)[8:]) <= set(made[:3])

    def test_who_answers_sooner_again_than_who_does_not(self, told, receiver):
        pauses = []
        patience = Patience(pauses_s=(1.0, 10.0, 100.0, 1000.0))
        for _ in range(6):
            make_images(told, 3)
            receiver.answers = [500]
            go(told, patience)
            pauses.append(the(told, webhooks).not_before - told.clock.now)

        assert pauses == [pytest.approx(one, rel=0.11) for one in (1, 10, 100, 100, 100, 100)]

    def test_how_many_were_missed_to_who_takes_no_such_event_and_what_follows_all_the_same(self, told, receiver):
        receiver.refused = {"kiln:Webhook:Missed"}
        make_images(told, 1)
        told.clock.now += DAY_S + 60
        delivery = Delivery(told.ports)
        delivery.tell(told.hook["WebhookId"])
        made = make_images(told, 2)
        while delivery.tell(told.hook["WebhookId"]):
            pass

        assert [came.event["type"] for came in receiver.came].count("kiln:Webhook:Missed") == 1
        assert told_of(receiver) == made
        assert the(told, webhooks).missed == 1

    def test_all_that_waits_at_once_where_a_test_is_asked_for(self, told, receiver):
        refused, other = make_images(told, 2)
        receiver.refused = {refused}
        delivery = Delivery(told.ports)
        delivery.tell(told.hook["WebhookId"])
        receiver.refused = set()
        assert not delivery.tell(told.hook["WebhookId"])
        told.call("TestWebhook", WebhookId=told.hook["WebhookId"])
        delivery.tell(told.hook["WebhookId"])

        assert told_of(receiver) == [refused, other, refused]
        assert every(told, parcels) == []

    def test_what_became_of_a_test_whatever_else_failed_with_it(self, told, receiver):
        refused = make_images(told, 2)
        receiver.refused = set(refused)
        go(told)
        told.call("TestWebhook", WebhookId=told.hook["WebhookId"])
        go(told)

        assert (shown(told)["LastError"], shown(told)["LastStatus"]) == ("", 204)
        assert shown(told)["HeldCount"] == 2

    def test_nothing_again_while_the_database_takes_no_record_of_it(self, told, receiver):
        made = make_images(told, 20)
        database, delivery = told.ports.database, Delivery(told.ports)

        def refuse(_: object) -> None:
            raise DatabaseFull("no more")

        database.fence = refuse
        for _ in range(3):
            with pytest.raises(DatabaseFull, match="no more"):
                delivery.tell(told.hook["WebhookId"])
        assert told_of(receiver) == made[:16]
        assert delivery.unrecorded == 1
        database.fence = None
        while delivery.tell(told.hook["WebhookId"]):
            pass

        assert told_of(receiver) == made
        assert (shown(told)["DeliveredCount"], delivery.unrecorded) == (20, 0)

    def test_ever_less_often_who_does_not_answer(self, told, receiver):
        make_images(told, 1)
        told.ports.database.write(lambda tx: webhooks.update(tx, {"url": NOBODY}, id=told.hook["WebhookId"]))
        patience = Patience(pauses_s=(1.0, 2.0, 3.0, 10.0, 100.0))
        pauses = []
        for _ in range(6):
            go(told, patience)
            pauses.append(the(told, webhooks).not_before - told.clock.now)

        assert pauses == [pytest.approx(one, rel=0.11) for one in (1, 2, 3, 10, 100, 100)]

    def test_ever_less_often_what_is_refused(self, told, receiver):
        make_images(told, 1)
        receiver.answers = [500]
        delivery, began = Delivery(told.ports, Patience(pauses_s=(10.0, 100.0))), told.clock.now
        tried_at = []
        while len(tried_at) < 4:
            delivery.tell(told.hook["WebhookId"])
            if len(receiver.came) > len(tried_at):
                tried_at.append(told.clock.now - began)
            told.clock.now += 1

        assert tried_at == [pytest.approx(at, abs=2 + at / 10) for at in (0, 10, 110, 210)]

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
        one, two = make_images(told, 2)
        receiver.refused = {one}
        for _ in range(4):
            go(told, Patience(attempts=2))

        kinds = [came.event["type"] for came in receiver.came]
        assert kinds == ["kiln:Image:StateChange"] * 3 + ["kiln:Webhook:Missed"]
        assert told_of(receiver) == [one, two, one]
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
        Postman(told.ports).look_around()
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
            postman.look_around()
        database.fence = None
        postman.look_around()

        assert the(told, webhooks).missed == 2

    def test_what_was_lost_uncounted_by_a_run_that_was_killed(self, told, receiver):
        told.refit(outbox=Outbox(told.clock, most_waiting=3))
        make_images(told, 3)
        postman = Postman(told.ports)
        postman.suspect()
        postman.look_around()

        assert the(told, webhooks).missed == 1

    def test_what_is_of_a_webhook_that_is_gone(self, told):
        make_images(told, 1)
        told.ports.database.write(webhooks.delete)
        Postman(told.ports).look_around()

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
        receiver.answers = [410, 500, 500, 204]
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
