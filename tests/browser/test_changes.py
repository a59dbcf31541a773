"""What changes is in every browser that looks, soon and without a hand."""

from __future__ import annotations

import threading

import pytest

from kiln.calls.holdings import HoldingsWatch, look
from kiln.ground.clock import system_clock
from kiln.wire.http.bounds import Room
from kiln.wire.paths.events import Limits
from tests.browser.windows import open_window, violations
from tests.clouds import ACCOUNT, make_cloud
from tests.console.hostile import an_import
from tests.stock import an_instance
from tests.wire.paths.site import start_site

pytestmark = pytest.mark.browser

#: Notes where the focus is as soon as something is shown again.
_LISTEN = """() => {
  window.stood = []
  addEventListener("htmx:afterSwap", () => window.stood.push(document.activeElement.href ?? ""))
}"""


def enter(window, path):
    keys = {"key_id": ACCOUNT, "key_secret": f"secret-{ACCOUNT}"}
    window.page.goto(window.page.request.post("/console/links", form=keys).text().strip())
    with window.page.expect_response("**/console/changes"):
        window.page.goto(path)


def test_an_image_that_is_made_stands_in_a_second_browser_and_the_focus_stays(browser, tmp_path, sqlite):
    cloud = make_cloud(tmp_path, sqlite)
    cloud.clock.now = system_clock()  # The console signs with the time of day.
    first = cloud.call("CreateImage", InstanceId=an_instance(cloud).id, ImageName="first")["ImageId"]
    cloud.settle()
    with start_site(cloud, Limits(), Room(200, 200)) as served:
        origin = "http://{}:{}".format(*served.address)
        with open_window(browser, origin) as one, open_window(browser, origin) as two:
            enter(one, "/console/images")
            enter(two, "/console/lineage")
            one.page.get_by_role("link", name=first).focus()
            # Heard after the page's own script: whoever presses a key in between would press it nowhere.
            one.page.evaluate(_LISTEN)
            cloud.call("CreateImage", InstanceId=an_instance(cloud).id, ImageName="second")
            cloud.settle()

            for window in (one, two):
                window.page.get_by_text("second").first.wait_for()
            one.page.wait_for_function("window.stood?.length > 0")
            assert {url.rpartition("/")[2] for url in one.page.evaluate("window.stood")} == {first}
            assert violations(two.page) == []


def test_how_far_a_task_is_is_shown_as_it_goes_on(browser, tmp_path, sqlite):
    cloud = make_cloud(tmp_path, sqlite)
    cloud.clock.now = system_clock()
    task = an_import(cloud)
    with (
        start_site(cloud, Limits(), Room(200, 200)) as served,
        open_window(browser, "http://{}:{}".format(*served.address)) as window,
    ):
        enter(window, f"/console/tasks/{task}")
        now = window.page.locator("#now")
        now.get_by_text("0%").first.wait_for()
        cloud.settle()

        now.get_by_text("100%").first.wait_for()


def test_what_is_in_the_pool_comes_by_itself_when_it_is_counted(browser, tmp_path, sqlite):
    cloud, may_end = make_cloud(tmp_path, sqlite), threading.Event()
    cloud.clock.now = system_clock()

    def look_late(*given):
        assert may_end.wait(300)
        return look(*given)

    watch = HoldingsWatch(look_late)
    cloud.refit(holdings=watch)
    try:
        with (
            start_site(cloud, Limits(), Room(200, 200)) as served,
            open_window(browser, "http://{}:{}".format(*served.address)) as window,
        ):
            enter(window, "/console/")
            held = window.page.locator("#held")
            # An answer of the service that it is being counted yet has been shown.
            window.page.locator("#held[hx-trigger*=delay]").wait_for()
            held.get_by_text("It is being counted").wait_for()
            may_end.set()

            held.get_by_text("Waiting to be swept").wait_for()
    finally:
        may_end.set()


def test_who_stands_on_a_button_stands_there_when_the_page_is_brought_up_to_date(browser, tmp_path, sqlite):
    cloud = make_cloud(tmp_path, sqlite)
    cloud.clock.now = system_clock()
    instance = an_instance(cloud, status="Stopped")
    with (
        start_site(cloud, Limits(), Room(200, 200)) as served,
        open_window(browser, "http://{}:{}".format(*served.address)) as window,
    ):
        enter(window, f"/console/instances/{instance.id}")
        start = window.page.get_by_role("button", name="Start")
        start.focus()
        window.page.evaluate(_LISTEN)
        cloud.call("ModifyInstanceAttribute", InstanceId=instance.id, InstanceName="renamed")

        window.page.get_by_role("heading", name="renamed").wait_for()
        assert start.evaluate("it => it === document.activeElement")
