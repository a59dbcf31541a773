"""What is in the pool, as the first page and the page of its own show it."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from kiln.calls.holdings import HoldingsWatch, look
from kiln.ground.units import KiB
from tests.clouds import ACCOUNT, OTHER, make_cloud
from tests.console.window import open_window
from tests.service.measured import measured
from tests.stock import a_disk, an_instance


@dataclass
class SlowLook:
    """A look at the pool that is not over before it is let be, by a clock that stands still."""

    now: float = 0.0
    asked: int = 0
    begun: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)

    def __call__(self, *given):
        self.begun.set()
        assert self.may_end.wait(300)
        return look(*given)

    def ticks(self):
        self.asked += 1
        return self.now


@contextmanager
def slow_window(tmp_path, sqlite):
    cloud, slow = make_cloud(tmp_path, sqlite), SlowLook()
    cloud.refit(holdings=HoldingsWatch(slow, slow.ticks))
    try:
        with open_window(cloud) as browser:
            browser.sign_in()
            yield browser, slow
    finally:
        slow.may_end.set()


def live(page):
    """The part of the page that is shown again."""
    (found,) = (given for tag, given in page.tags if given.get("id") == "held")
    return found


def test_is_told_by_kind_with_the_depths_of_chains_and_goes_with_what_changes(window):
    instance = an_instance(window.cloud)
    window.cloud.call("CreateImage", InstanceId=instance.id)
    window.cloud.settle()

    page = window.get("/storage")

    cells = re.findall(r"<td>(.*?)</td><td>(\d+)</td><td>([\d.]+)</td>", page.text)
    assert [(name, count) for name, count, _ in cells] == [
        ("Disks, what they write to", "1"),
        ("Snapshots and images", "1"),
        ("No snapshot&#39;s any more, but a disk stands on it", "0"),
        ("Waiting to be swept", "0"),
        ("In the trash, until its grace is over", "0"),
    ]
    taken = [one["Bytes"] for one in window.cloud.call("DescribeStorage")["Uses"]["Use"]]
    assert min(taken[:2]) > 0
    assert [float(kib) for _, _, kib in cells] == [size / KiB for size in taken]
    assert "How many volumes a disk is made of: 2 (1 disk)" in page.words
    assert (live(page)["data-follows"], live(page)["hx-trigger"]) == ("*", "kiln:changed")


def test_the_first_page_does_not_wait_for_it_and_has_it_brought(tmp_path, sqlite):
    with slow_window(tmp_path, sqlite) as (window, slow):
        page = window.get("/")

        assert page.status == 200
        assert "It is being counted" in page.words
        assert not slow.begun.is_set()
        (whole,) = (given for tag, given in page.tags if given.get("id") == "all")
        assert (whole["data-follows"], whole["hx-get"], whole["hx-select"]) == ("*", "/console/", "#all")
        part = live(page)
        assert (part["hx-get"], part["hx-select"]) == ("/console/storage", "#held")
        assert part["hx-trigger"] == "kiln:changed, load"


def test_what_is_being_counted_is_asked_for_once_by_a_page_that_comes_again(tmp_path, sqlite):
    with slow_window(tmp_path, sqlite) as (window, slow):
        ports = window.cloud.ports
        first = ports.holdings.ask(ports.database, ports.pool, ports.clock)
        assert slow.begun.wait(300)
        slow.now, slow.asked = 10.0, 0

        page = window.get("/storage")

        assert (page.status, slow.asked) == (200, 1)
        assert "It is being counted" in page.words
        assert live(page)["hx-trigger"] == "kiln:changed, load delay:2s"

        slow.may_end.set()
        first.result(300)
        page = window.get("/storage")
        assert "Waiting to be swept 0 0" in page.words
        assert live(page)["hx-trigger"] == "kiln:changed"


ALL = "What all accounts take in the pool"


def test_the_operator_sees_what_all_accounts_take_as_a_scraper_does(window):
    an_instance(window.cloud)
    window.sign_in(OTHER, is_operators=True)

    page = window.get("/storage")

    assert ALL in page.words
    (table,) = re.findall(r'<table id="pool">.*?</table>', page.text, re.DOTALL)
    found = measured(window.cloud)
    kinds = ("head", "named", "unnamed", "doomed", "trash", "other")
    shown = [int(kib) for kib in re.findall(r"<td>(\d+)</td>", table)]
    assert shown == [found("kiln_pool_bytes", kind=kind) // KiB for kind in kinds]
    assert shown[0] > 0
    assert "Volumes that a disk is made of: 1 at most, 1.0 on average." in page.words


@pytest.mark.parametrize(
    "headers",
    [
        {"x_forwarded_for": "127.0.0.1"},
        {"x_forwarded_proto": "https"},
        {"forwarded": "for=127.0.0.1"},
        {"via": "1.1 proxy"},
        {"x_real_ip": "127.0.0.1"},
        {"host": "kiln.example.com:8787"},
    ],
)
def test_what_all_accounts_take_is_told_on_this_host_alone(window, headers):
    window.sign_in(is_operators=True)
    assert ALL in window.get("/storage").words

    page = window.get("/storage", **headers)

    assert "What your things take in the pool" in page.words
    assert ALL not in page.words


def test_a_session_that_began_elsewhere_is_nobodys_operator(window):
    window.peer = "192.0.2.7"
    window.sign_in(is_operators=True)
    window.peer = "127.0.0.1"

    page = window.get("/storage")

    assert "What your things take in the pool" in page.words
    assert ALL not in page.words


@pytest.mark.parametrize("way", ["form", "link"])
def test_an_access_key_tells_nothing_of_what_all_accounts_take(window, way):
    a_disk(window.cloud)
    keys = {"key_id": ACCOUNT, "key_secret": f"secret-{ACCOUNT}"}
    browser = window.other()
    if way == "form":
        assert browser.post("/sign-in", keys).status == 200
    else:
        link = browser.post("/links", keys).text.strip().removeprefix("/console")
        assert browser.get(link).status == 200

    page = browser.get("/storage")

    assert "What your things take in the pool" in page.words
    assert ALL not in page.words
