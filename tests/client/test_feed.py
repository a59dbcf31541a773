"""All that is told, for as long as somebody reads: over real connections, before a Kiln's own server."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest

from kiln.client.client import ApiFailure, Client
from kiln.client.transport import Unreachable
from kiln.declare.ids import new_id
from kiln.store.images import images
from kiln.wire.http.bounds import Room
from kiln.wire.paths.events import Limits
from tests.client.relay import relayed
from tests.clouds import ACCOUNT, REGION, make_cloud
from tests.waiting import wait_for
from tests.wire.paths.site import start_site

ROOM = Room(100, 100)


def client_of(cloud, address, secret=f"secret-{ACCOUNT}"):
    return closing(Client(address, ACCOUNT, secret, REGION, clock=cloud.clock))


def add_image(database) -> str:
    row = images.of_values({"id": new_id("image"), "account": ACCOUNT, "status": "Creating", "region": REGION})
    database.write(lambda tx: images.insert(tx, replace(row, name=f"n-{row.id}")))
    return row.id


def test_goes_on_after_the_stream_broke_and_says_that_it_did(tmp_path, sqlite):
    cloud = make_cloud(tmp_path, sqlite)
    with ExitStack() as stack:
        relay = stack.enter_context(relayed(stack.enter_context(start_site(cloud, Limits(), ROOM)).address))
        with client_of(cloud, relay.address) as client:
            feed = iter(client.feed())
            assert next(feed).word == "listening"
            first = add_image(sqlite)
            event = next(feed).event
            assert event["data"]["resourceId"] == first
            assert (event["data"]["resourceName"], event["aliyunregionid"]) == (f"n-{first}", REGION)
            relay.cut()
            assert [next(feed).word for _ in range(2)] == ["lost", "listening"]
            second = add_image(sqlite)
            assert next(feed).event["data"]["resourceId"] == second
            feed.close()


def test_ends_when_another_thread_closes_it(tmp_path, sqlite):
    cloud = make_cloud(tmp_path, sqlite)
    with start_site(cloud, Limits(), ROOM) as site, client_of(cloud, "http://{}:{}".format(*site.address)) as client:
        feed = client.feed()
        heard = []
        reading = threading.Thread(target=lambda: heard.extend(feed))
        reading.start()
        wait_for(lambda: feed._connection is not None)
        feed.close()
        reading.join(300)

        assert not reading.is_alive()
        assert [one.word for one in heard] in ([], ["listening"])


def test_says_so_where_the_service_tells_that_something_was_missed(tmp_path, sqlite):
    cloud = make_cloud(tmp_path, sqlite)
    with start_site(cloud, Limits(), ROOM) as site, client_of(cloud, "http://{}:{}".format(*site.address)) as client:
        feed = iter(client.feed())
        assert next(feed).word == "listening"
        # In one transaction more than a stream keeps for who does not read.
        row = images.of_values({"account": ACCOUNT, "status": "Creating"})
        rows = [replace(row, id=new_id("image"), name=f"i-{n}") for n in range(129)]
        sqlite.write(lambda tx: images.insert(tx, *rows))
        assert next(feed).word == "missed"
        feed.close()


def test_raises_what_the_first_request_is_refused_for(tmp_path, sqlite):
    cloud = make_cloud(tmp_path, sqlite)
    with start_site(cloud, Limits(of_account=0), ROOM) as site:
        address = "http://{}:{}".format(*site.address)
        with client_of(cloud, address) as client, pytest.raises(ApiFailure) as busy:
            next(iter(client.feed()))
        with client_of(cloud, address, "wrong") as client, pytest.raises(ApiFailure) as wrong:
            next(iter(client.feed()))

    assert (busy.value.code, wrong.value.code) == ("Throttling.Events", "SignatureDoesNotMatch")


def test_raises_where_nobody_answers(tmp_path, sqlite):
    cloud = make_cloud(tmp_path, sqlite)
    with client_of(cloud, "http://127.0.0.1:1") as client, pytest.raises(Unreachable):
        next(iter(client.feed()))
