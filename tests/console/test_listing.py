"""Listings: tabs, filters and pages, all of them in the URL."""

from __future__ import annotations

import re
import shlex

from kiln.cli.main import every_command
from kiln.console.nouns.listing import ROWS
from kiln.console.texts import Texts
from tests.operations.images.gallery import an_image
from tests.stock import a_disk, a_key_pair, a_snapshot


def of(first: int, last: int, total: int) -> str:
    return Texts("en")("listing.of", first=first, last=last, total=total)


def test_filters_by_what_the_url_says(window):
    for name in ("web", "db"):
        a_snapshot(window.cloud, name=name)

    page = window.get("/snapshots?SnapshotName=web")

    assert of(1, 1, 1) in page.words
    assert page.value("SnapshotName") == "web"
    assert "Nothing is like this" in window.get("/snapshots?SnapshotName=other").words


def test_pages_lead_to_each_other_and_keep_the_filter(window):
    for n in range(ROWS + 1):
        a_key_pair(window.cloud, name=f"key-{n}")

    first = window.get("/key-pairs?KeyPairName=key-*")
    (after,) = (given["href"] for tag, given in first.tags if given.get("rel") == "next")
    second = window.get(after.removeprefix("/console"))

    assert of(1, ROWS, ROWS + 1) in first.words
    assert of(ROWS + 1, ROWS + 1, ROWS + 1) in second.words
    assert [given["href"] for tag, given in second.tags if given.get("rel") == "prev"] == [
        "/console/key-pairs?KeyPairName=key-%2A&page=1"
    ]


def test_a_page_behind_the_last_is_the_last(window):
    for n in range(ROWS + 1):
        a_key_pair(window.cloud, name=f"key-{n}")

    page = window.get("/key-pairs?page=3")

    assert of(ROWS + 1, ROWS + 1, ROWS + 1) in page.words
    assert [given["href"] for tag, given in page.tags if given.get("rel") == "prev"] == ["/console/key-pairs?page=1"]


def test_a_page_that_is_no_number_is_the_first(window):
    a_disk(window.cloud)

    for page in ("x", "-1", "0", "٣", "9" * 20):
        assert of(1, 1, 1) in window.get(f"/disks?page={page.encode().hex() if not page.isascii() else page}").words


def test_shows_what_a_filter_is_refused_for(window):
    page = window.get("/images?Status=Nonsense")

    assert page.status == 400
    assert "RequestId" in page.words


def test_an_empty_list_says_how_to_begin(window):
    assert "Import a disk file" in window.get("/images").words
    assert "brought in by Files" in window.get("/images").words


def test_an_empty_console_says_lines_that_are_right_and_where_to_bring_a_disk(window):
    page = window.get("/")
    commands = dict(every_command())
    (lines,) = re.findall(r"<pre><code>(.*?)</code></pre>", page.text, re.DOTALL)

    assert "Begin here" in page.words
    assert ("a", {"class": "button main", "href": "/console/files"}) in page.tags
    for line in lines.splitlines():
        _, noun, verb, *given = shlex.split(line)
        commands[f"{noun} {verb}"].make_context(verb, given)


def test_the_first_page_leads_to_the_newest_image_and_what_to_do_with_it(window):
    an_image(window.cloud, id="m-older0000000000000", created_at=1_000.0)
    newest = an_image(window.cloud, id="m-newer0000000000000", created_at=2_000.0, name="newest-one")

    page = window.get("/")
    hrefs = [given["href"] for tag, given in page.tags if tag == "a"]

    assert "newest-one" in page.words
    assert f"/console/images/{newest.id}/RunInstances" in hrefs
    assert f"/console/lineage/{newest.id}" in hrefs
    assert all(window.get(href.removeprefix("/console")).status == 200 for href in hrefs if newest.id in href)
    assert "Begin here" not in page.words


def test_the_form_of_imports_says_where_files_are_brought_in_until_one_is(window):
    hint = Texts("en")("files.first")

    assert hint in window.get("/images/ImportImage").words
    assert hint not in window.get("/images/ImportImage?DiskDeviceMapping.1.OSSBucket=imports").words


def test_a_list_in_which_something_moves_loads_itself_again(window):
    a_snapshot(window.cloud, status="progressing")

    page = window.get("/snapshots")

    # Where there is a script, the rows alone are loaded.
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page.text
    assert [given["hx-trigger"] for tag, given in page.tags if "hx-get" in given] == ["kiln:changed, every 2s"]
    assert "every 2s" not in window.get("/disks").text


def chief_buttons(page):
    return [given["href"] for tag, given in page.tags if "main" in (given.get("class") or "").split()]


def test_who_has_no_image_yet_is_led_to_the_import_first(window):
    empty = window.get("/images")
    assert chief_buttons(empty) == ["/console/images/ImportImage"]
    assert ("a", {"class": "button", "href": "/console/files"}) in empty.tags
    assert chief_buttons(window.get("/images?ImageName=x")) == ["/console/images/CreateImage"]

    an_image(window.cloud)

    assert chief_buttons(window.get("/images")) == ["/console/images/CreateImage"]


def test_states_and_filters_are_in_the_visitors_language_and_asked_for_as_the_api_has_them(window):
    a_snapshot(window.cloud)

    page = window.get("/snapshots", accept_language="zh")

    assert ("span", {"class": "state well", "title": "accomplished"}) in page.tags
    assert "快照类型" in page.words
    assert '<option value="accomplished">已完成</option>' in page.text
