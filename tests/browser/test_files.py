"""Disk files in a browser: dropped, broken off, gone on with, imported and downloaded."""

from __future__ import annotations

import os
import re
from base64 import b64encode

import pytest

from kiln.console.pages import files
from kiln.ground.clock import system_clock
from kiln.wire.http.bounds import Room
from kiln.wire.paths.events import Limits
from tests.browser.windows import open_window, violations
from tests.clouds import make_cloud
from tests.console.elsewhere import WAYS, console_of
from tests.wire.paths.site import start_site

pytestmark = pytest.mark.browser

PART = 100 << 10  #: The least that a part may have.

#: Drops a file on the place for it, as a hand would.
DROP = """([name, content]) => {
    const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
    const moved = new DataTransfer();
    moved.items.add(new File([bytes], name, { lastModified: 1 }));
    const event = new DragEvent("drop", { dataTransfer: moved, cancelable: true });
    document.getElementById("files-drop").dispatchEvent(event);
}"""


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_is_dropped_goes_on_where_it_broke_off_and_leads_to_the_import(
    browser, tmp_path, sqlite, monkeypatch, way
):
    monkeypatch.setattr(files, "_PART", PART)
    cloud = make_cloud(tmp_path, sqlite)
    cloud.clock.now = system_clock()  # The console signs with the time of day.
    content = os.urandom(PART + 1000)
    with (
        start_site(cloud, Limits(), Room(200, 200)) as served,
        console_of(served, way) as link,
        open_window(browser, link.partition("/console")[0]) as window,
    ):
        page = window.page
        page.goto(link)
        page.wait_for_url("**/console/")
        page.goto("/console/files")
        assert violations(page) == []

        file = ["a disk.qcow2", b64encode(content).decode()]
        page.route(re.compile("partNumber=2"), lambda route: None)  # It is never answered.
        page.evaluate(DROP, file)
        page.get_by_text("99 %").wait_for()
        page.get_by_role("button", name="Stop").click()
        page.get_by_text("It broke off:").wait_for()
        page.unroute(re.compile("partNumber=2"))

        asked = len(window.asked)
        page.evaluate(DROP, file)
        page.wait_for_url("**/console/images/ImportImage?*")
        assert not [url for url in window.asked[asked:] if "partNumber=1&" in url]
        assert page.get_by_label("OSSObject").first.input_value().endswith("-a_disk.qcow2")

        page.goto("/console/files")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        assert download.value.path().read_bytes() == content
        page.get_by_role("button", name="Delete").click()
        page.get_by_text("No file has come or gone yet.").wait_for()
