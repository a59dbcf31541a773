"""What every page of the table holds to, whatever the names of what it shows."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from html.parser import HTMLParser
from urllib.parse import quote

import pytest

from kiln.console.app import PAGES
from kiln.console.asking import CONTENT_POLICY, GUARDS
from kiln.console.pages import MENU
from kiln.console.style import STYLE
from kiln.console.visit import Page
from kiln.ground.units import KiB
from tests.clouds import make_cloud
from tests.console.hostile import NAME
from tests.console.window import Browser, open_window
from tests.operations.images.gallery import FAR, with_two_regions
from tests.stock import a_disk

GETS = [page for page in PAGES if page.method == "GET" and page.template and not page.is_open]
CHANGES = [page for page in PAGES if page.method != "GET" and not page.is_open]
OF_ONE = [page for page in GETS if "{" in page.at]
NOWHERE_ELSE = "x-bp146shijn7hujku8a5c"  #: Of nothing.

_VOID = {"input", "img", "link", "meta", "br", "hr"}
_PLAIN = {"bdi", "option", "title", "textarea"}  #: In these, what turns the direction turns nothing outside.


def titled(page: Page) -> str:
    return f"{page.method} {page.at}"


def path_of(page: Page, browser: Browser) -> str:
    noun = page.at.split("/")[1]
    return page.at.replace("{id}", quote(browser.ids.get(noun, ""), safe=""))


class Reader(HTMLParser):
    """Notes what no page may have."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.labelled: set[str | None] = set()
        self.fields: list[str | None] = []
        self.headings = 0

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag not in _VOID:
            self.open.append(tag)
        self.faults += [f"{tag} {name}" for name in given if name == "style" or name.startswith("on")]
        for name in ("src", "href", "action"):
            if not (given.get(name) or "/console").startswith(("/console", "#", "data:,")):
                self.faults.append(f"{tag} {name}={given[name]}")
        if tag == "script" and "src" not in given:
            self.faults.append("inline script")
        if tag == "label":
            self.labelled.add(given.get("for"))
        if tag in ("select", "textarea") or (tag == "input" and given.get("type") != "hidden"):
            self.fields.append(None if "label" in self.open else given.get("id"))
        self.headings += tag == "h1"

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open and data != STYLE:
            self.faults.append("a style that is not ours")
        if "\u202e" in data and not _PLAIN & set(self.open):
            self.faults.append(f"a mark that turns the direction, in {self.open}")


@pytest.mark.parametrize("page", GETS, ids=titled)
def test_shows_hostile_names_as_names(looker, page):
    answer = looker.get(path_of(page, looker))

    assert answer.status == 200, answer.words
    assert [answer.header(name) for name, _ in GUARDS] == [value for _, value in GUARDS]
    reader = Reader()
    reader.feed(answer.text)
    reader.close()
    assert (reader.faults, reader.open) == ([], [])
    assert [one for one in reader.fields if one not in reader.labelled and one is not None] == []
    assert reader.headings == 1


def test_the_hostile_names_are_on_the_pages(looker):
    pages = [looker.get(path_of(page, looker)) for page in GETS if page.at.count("/") == 2 and "{" in page.at]

    assert [NAME[-128:] in page.text for page in pages] == [True] * len(looker.ids)


@pytest.mark.parametrize("page", [page for page in GETS if not page.is_heavy], ids=titled)
def test_is_small_and_asks_for_one_file_beside_itself(looker, page):
    answer = looker.get(path_of(page, looker))

    files = [given.get("src") or given.get("href") for tag, given in answer.tags if tag in ("script", "link")]
    icon, script = files
    assert (icon, script.rpartition("/")[2]) == ("data:,", "console.js")
    assert answer.sent + looker.get(script.removeprefix("/console")).sent < 30 * KiB


@pytest.mark.parametrize("page", [*GETS, *CHANGES], ids=titled)
def test_has_every_guard_and_sends_who_has_not_signed_in_to_where_one_signs_in(shared, page):
    answer = shared.other().ask(page.method, path_of(page, shared), b"")

    assert (answer.status, answer.place) == (303, "/sign-in")
    assert [answer.header(name) for name, _ in GUARDS] == [value for _, value in GUARDS]
    assert answer.header("cache-control") == "no-store"


def test_the_policy_lets_nothing_run_that_is_not_a_file_of_ours():
    policy = dict(one.strip().split(" ", 1) for one in CONTENT_POLICY.split(";"))
    style = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "connect-src", "form-action")} == {"'self'"}
    assert policy["style-src"] == f"'self' 'sha256-{style}'"
    assert {policy[name] for name in ("frame-ancestors", "base-uri")} == {"'none'"}


@pytest.mark.parametrize("page", CHANGES, ids=titled)
def test_a_change_needs_a_form_of_this_session_on_a_page_of_this_console(shared, looker, page):
    other = shared.other()
    other.sign_in()
    own = looker.get("/missing").form_token
    path = path_of(page, looker)
    foreign = [{"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}, {"origin": "http://evil.example"}]

    refused = [
        looker.post(path, {"form_token": token, "is_sure": "1"})
        for token in ("", "made.up", other.get("/missing").form_token)
    ]
    refused += [looker.post(path, {"form_token": own, "is_sure": "1"}, **headers) for headers in foreign]

    assert [answer.status for answer in refused] == [403] * 6


@pytest.mark.parametrize("page", OF_ONE, ids=titled)
def test_shows_nothing_of_another_account_by_its_url(stranger, page):
    answer = stranger.get(path_of(page, stranger))

    assert answer.status == 404
    assert "龘" not in answer.text


@pytest.mark.parametrize("page", [page for page in CHANGES if "{" in page.at], ids=titled)
def test_changes_nothing_of_another_account_by_its_url(stranger, page):
    fields = {"form_token": stranger.get("/").form_token, "is_sure": "1"}

    assert stranger.post(path_of(page, stranger), fields).status == 404


@pytest.mark.parametrize("page", [page for page in GETS if "{" not in page.at], ids=titled)
def test_lists_nothing_of_another_account(stranger, page):
    answer = stranger.get(path_of(page, stranger))

    assert answer.status == 200
    assert "龘" not in answer.text


def test_the_menu_leads_to_pages_and_says_where_one_is(looker):
    for way in MENU:
        here = [given["href"] for tag, given in looker.get(way.at).tags if given.get("aria-current") == "page"]
        assert f"/console{way.at}" in here


@pytest.mark.parametrize("language", ["en", "zh"])
def test_is_in_the_language_that_the_browser_asks_for(looker, language):
    page = looker.get("/images", accept_language=f"{language},en;q=0.5")

    assert ("html", {"lang": language}) in page.tags
    assert {"en": "Images", "zh": "镜像"}[language] in page.words


def test_says_of_what_was_deleted_when_and_how_it_comes_back_and_leads_on(window):
    """A link to a deleted disk led to a page that had a way to the overview, and no more."""
    disk = a_disk(window.cloud)
    window.submit(f"/disks/{disk.id}/DeleteDisk", {"is_sure": "1"})
    (deletion,) = [one for one in window.cloud.call("LookupEvents")["Events"] if one["eventName"] == "DeleteDisk"]

    page = window.get(f"/disks/{disk.id}")

    assert (page.status, f"There is nothing here {disk.id}" in page.words) == (404, True)
    assert f"It was deleted at {deletion['eventTime']}, by DeleteDisk." in page.words
    assert f"kiln trash restore {disk.id}" in page.words
    assert ("a", {"href": "/console/disks"}) in page.tags
    assert "by DeleteDisk" in window.get(f"/disks/{disk.id}/ResizeDisk").words


@pytest.mark.parametrize("page", [page for page in OF_ONE if not page.at.startswith("/lineage/")], ids=titled)
def test_leads_on_from_what_is_not_there(looker, page):
    answer = looker.get(page.at.replace("{id}", NOWHERE_ELSE))

    assert answer.status == 404
    assert [given["href"] for tag, given in answer.tags if tag == "a"][-1] == f"/console/{page.at.split('/')[1]}"


def test_says_in_which_region_something_is(tmp_path, sqlite):
    with open_window(with_two_regions(make_cloud(tmp_path, sqlite))) as window:
        window.sign_in()
        disk = a_disk(window.cloud, region=FAR)

        page = window.get(f"/disks/{disk.id}")

    assert (page.status, f"It is in the region {FAR}" in page.words) == (404, True)
    assert "deleted" not in page.words
