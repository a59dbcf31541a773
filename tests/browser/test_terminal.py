"""The serial console in a browser: seen, typed into, ended and joined again, by a guest that the test plays."""

from __future__ import annotations

from contextlib import closing

import pytest

from kiln.ground.clock import system_clock
from kiln.wire.http.bounds import Room
from kiln.wire.paths.events import Limits
from tests.browser.windows import open_window, violations
from tests.clouds import make_cloud
from tests.console.elsewhere import WAYS, console_of
from tests.consoled import Consoled, a_running_instance
from tests.wire.paths.site import start_site

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("way", WAYS)
def test_shows_what_the_guest_prints_and_types_what_is_typed(browser, tmp_path, sqlite, way):
    machines = Consoled(tmp_path / "run", b"Debian GNU/Linux 12\r\n")
    cloud = make_cloud(tmp_path, sqlite, machines=machines)
    cloud.clock.now = system_clock()  # The console signs with the time of day.
    instance = a_running_instance(cloud, name="<b>web</b>")
    with (
        closing(machines),
        start_site(cloud, Limits(), Room(200, 200)) as served,
        console_of(served, way) as link,
        open_window(browser, link.partition("/console")[0]) as window,
    ):
        page = window.page
        page.goto(link)
        page.wait_for_url("**/console/")
        page.goto(f"/console/instances/{instance}/terminal")
        far = machines.guests.get(timeout=300)
        page.get_by_text("Joined.").wait_for()
        shown = page.locator(".xterm-rows")
        shown.get_by_text("Debian GNU/Linux 12").wait_for()

        page.keyboard.type("root\n")
        with far.makefile("rb") as typed:  # A socket with a time limit returns what has come so far.
            assert typed.read(5) == b"root\r"
        far.sendall(b"\x1b[38;2;200;30;30mcolours\x1b[0m and \xe9\xbe\x98")
        shown.get_by_text("colours and 龘").wait_for()
        assert shown.get_by_text("colours", exact=True).evaluate("e => getComputedStyle(e).color") == "rgb(200, 30, 30)"
        assert violations(page) == []

        cloud.clock.now += 1  # So that the next session is the later one.
        page.keyboard.press("Control+]")
        page.get_by_role("button", name="Leave").press("Enter")
        page.get_by_role("button", name="Join again").press("Enter")
        machines.guests.get(timeout=300).sendall(b"again here")
        shown.get_by_text("again here").wait_for()

        machines.is_busy = True
        cloud.call("EndTerminalSession", SessionId=last_session(cloud))
        page.get_by_text("The session has ended:").wait_for()
        page.get_by_role("button", name="Join again").press("Enter")
        page.get_by_text("Another program is connected.").wait_for()


def last_session(cloud):
    return cloud.call("DescribeTerminalSessions")["Sessions"]["Session"][0]["SessionId"]
