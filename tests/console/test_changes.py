"""What browsers are told of changes, by one reader for each account, over real streams of a Kiln's own."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from kiln.client.client import Client
from kiln.console import changes
from kiln.console.asking import GUARDS
from kiln.console.changes import Changes
from kiln.console.sessions import Keys
from kiln.declare.ids import new_id
from kiln.store.images import images
from kiln.wire.http.bounds import Room
from kiln.wire.paths.events import Limits
from tests.clouds import ACCOUNT, OTHER, REGION, make_cloud
from tests.console.window import HOST
from tests.waiting import wait_for
from tests.wire.paths.site import start_site


@pytest.fixture
def site(tmp_path, sqlite):
    with start_site(make_cloud(tmp_path, sqlite), Limits(), Room(200, 200)) as served:
        yield served


def add_image(cloud, account=ACCOUNT, count=1):
    row = images.of_values({"account": account, "status": "Creating", "region": REGION})
    rows = [replace(row, id=new_id("image"), name=f"n-{n}") for n in range(count)]
    cloud.ports.database.write(lambda tx: images.insert(tx, *rows))
    return rows[0].id


def readers():
    return sum(thread.name == "console-changes" for thread in threading.enumerate())


@pytest.fixture(autouse=True)
def no_reader_of_before():
    """Those of the test before may still be ending."""
    wait_for(lambda: readers() == 0)


class Browser:
    """One that is told, within the loop of a test."""

    def __init__(self, told, site, account, secret=""):
        keys = Keys(account, secret or f"secret-{account}")
        self.text, self.lives = "", True
        self._gone, self._heard = asyncio.Event(), asyncio.Event()
        self.over = asyncio.ensure_future(
            told.serve(
                lambda: Client("http://{}:{}".format(*site.address), *keys, REGION, clock=site.cloud.clock),
                keys,
                self._lives,
                self._receive,
                self._send,
            )
        )

    async def _lives(self):
        return self.lives

    async def _receive(self):
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        self.text += message["body"].decode()
        self._heard.set()

    async def until(self, text):
        async with asyncio.timeout(300):
            while text not in self.text:
                self._heard.clear()
                await self._heard.wait()

    async def leave(self):
        self._gone.set()
        await self.over


def test_tells_every_browser_of_an_account_by_one_reader(site):
    async def look():
        told = Changes(beat_s=0.05)
        mine, too, others = (Browser(told, site, account) for account in (ACCOUNT, ACCOUNT, OTHER))
        for one in (mine, too, others):
            await one.until("event: missed")
        image = add_image(site.cloud)
        for one in (mine, too):
            await one.until(f'event: changed\ndata: {{"noun": "images", "id": "{image}"}}\n\n')
        assert readers() == 2
        await others.until(": beat")
        assert image not in others.text
        for one in (mine, too, others):
            await one.leave()

    asyncio.run(look())
    wait_for(lambda: readers() == 0)


def test_a_hundred_browsers_are_told_within_the_bounds_and_no_more_join(site):
    async def look():
        told = Changes(most=100)
        browsers = [Browser(told, site, ACCOUNT) for _ in range(100)]
        for one in browsers:
            await one.until("event: missed")
        assert not told.has_room(Keys(ACCOUNT, f"secret-{ACCOUNT}"))
        image = add_image(site.cloud)
        for one in browsers:
            await one.until(image)
        assert readers() == 1
        told.end()
        await asyncio.gather(*(one.over for one in browsers))

    asyncio.run(look())


def test_tells_nobody_who_has_not_signed_in_or_asks_by_another_name(window):
    stranger = window.other()

    assert stranger.get("/changes").status == 404
    assert window.get("/changes", host="evil.example").status == 421


def test_a_proxy_keeps_nothing_back_and_what_is_told_has_every_guard(window):
    """One event of a stream that its reader leaves then."""
    told = []

    async def look():
        left = asyncio.Event()
        cookies = "; ".join(f"{name}={value}" for name, value in window.cookies.items())
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/console/changes",
            "query_string": b"",
            "headers": [(b"host", HOST.encode()), (b"cookie", cookies.encode())],
        }
        asked = iter([{"type": "http.request", "body": b""}])

        async def receive():
            for message in asked:
                return message
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            told.append(message)
            if message.get("body"):  # Who leaves before that may be told nothing.
                left.set()

        await window.console(scope, receive, send)

    asyncio.run(look())
    headers = {name.decode(): value.decode() for name, value in told[0]["headers"]}
    assert headers["x-accel-buffering"] == "no"
    assert "content-length" not in headers
    assert [headers[name] for name, _ in GUARDS] == [value for _, value in GUARDS]
    assert told[1]["body"].startswith(b"event: listening")


def test_one_account_with_all_the_browsers_keeps_no_other_out(site):
    async def look():
        told = Changes(most=4)
        crowd = [Browser(told, site, ACCOUNT) for _ in range(4)]
        for one in crowd:
            await one.until("event: listening")
        for _ in range(2):
            assert told.has_room(Keys(OTHER, f"secret-{OTHER}"))
            await Browser(told, site, OTHER).until("event: listening")
        await asyncio.gather(*(one.over for one in crowd[:2]))
        assert not any(one.over.done() for one in crowd[2:])
        assert not told.has_room(Keys(OTHER, f"secret-{OTHER}"))
        assert not told.has_room(Keys(ACCOUNT, f"secret-{ACCOUNT}"))
        told.end()
        await asyncio.gather(*(one.over for one in crowd))

    asyncio.run(look())


def test_ends_with_its_session(site):
    async def look():
        browser = Browser(Changes(beat_s=0.01), site, ACCOUNT)
        await browser.until("event: listening")
        browser.lives = False
        await browser.over

    asyncio.run(look())


def test_ends_where_the_api_refuses_each_time(site):
    async def look():
        told = Changes()
        for _ in range(2):
            browser = Browser(told, site, ACCOUNT, secret="wrong")
            await browser.over
            assert not browser.text.count("changed")

    asyncio.run(look())


def test_what_waits_for_a_slow_browser_is_bounded():
    async def look():
        viewer = changes.Viewer()
        for _ in range(1000):
            viewer.tell("m-1")
        assert (await viewer.next(1)).count(b"m-1") == 1
        for number in range(1000):
            viewer.tell(f"m-{number}")
        assert len(await viewer.next(1)) < 20_000

    asyncio.run(look())


def test_who_has_come_is_told_that_it_listens_whatever_happens_in_between():
    """What may have changed by then is no news to it: all that it shows may be older."""

    async def look():
        viewer = changes.Viewer()
        viewer.tell("")
        assert (await viewer.next(1)).startswith(b"event: listening\n")
        viewer.tell("")
        assert (await viewer.next(1)).startswith(b"event: missed\n")

    asyncio.run(look())
