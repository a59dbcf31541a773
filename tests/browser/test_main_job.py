"""The main job from the link that a start prints to the last deletion, with real machines, by what one sees alone.

Once with a mouse, and once with the keyboard alone: terminals, the file that is brought, and all.
"""

from __future__ import annotations

from contextlib import closing

import pytest

from kiln.client.client import Client
from tests.browser.hands import Keyboard, Mouse
from tests.browser.story import PICTURES, Story
from tests.browser.windows import open_window
from tests.guests import build_guest, reachable  # noqa: F401 - a fixture.
from tests.warm import start_kiln

pytestmark = [pytest.mark.browser, pytest.mark.vm, pytest.mark.slow_vm]


@pytest.mark.parametrize("hands", [Mouse, Keyboard])
def test_the_main_job_is_done_in_a_browser(browser, reachable, hands):  # noqa: F811 - the fixture.
    seen = []
    with start_kiln(reachable / "data", machines="qemu", accel="tcg") as served:
        link = next(line.split()[-1] for line in served.log.read_text().splitlines() if line.startswith("console "))
        client = Client(served.endpoint, served.access_key_id, served.secret, served.region)
        with closing(client), open_window(browser, served.endpoint) as window:
            window.page.goto(link)
            window.page.wait_for_url("**/console/")
            Story(hands(window.page), client, seen.append).tell(build_guest(reachable / "guest.qcow2"))

    assert sorted(seen) == sorted(PICTURES)
