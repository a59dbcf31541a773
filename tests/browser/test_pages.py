"""Every page of the console's table as a browser shows it: for all who read it, on any screen, with and without script.

A page that is added to the table is looked at here by that alone: a way to it is
found by links, and what is stocked has to have something to show there.
"""

from __future__ import annotations

import contextlib

import pytest

from kiln.console.app import CHANGES
from kiln.console.asking import ROOT
from kiln.console.pages import PAGES
from kiln.ground.units import KiB
from tests.browser.stocked import open_stocked
from tests.browser.visiting import Visitor, ways
from tests.browser.windows import open_window, violations

pytestmark = pytest.mark.browser

#: What is no page to be looked at, and why.
NO_PAGES = {
    "/language": "sends back to where one was",
    "/files/{bucket}/{name}": "is a file, which the browser saves",
}
#: Which no link leads to, and why.
APART = {
    "/enter": "the link of a terminal leads there, once",
    "/sign-in": "is for who has not signed in",
}
#: What one sees of one thing without a link to it, and why.
BY_HAND = {
    "/images/{id}/CancelCopyImage": "there is a link for a moment, and nothing that is stocked moves",
    "/tasks/{id}/CancelTask": "likewise",
    "/instances/{id}/StartInstance": "a button does it at once, without a form to be filled in",
}
SHOWN = [page.at for page in PAGES if page.method == "GET" and page.at not in NO_PAGES]
LIGHT = [page.at for page in PAGES if page.method == "GET" and page.at in SHOWN and not page.is_heavy]
#: A page for each template: without script, pages of one template differ by their words alone.
BY_TEMPLATE = {page.template: page.at for page in PAGES if page.at in SHOWN and page.method == "GET"}
_PHONE = {"width": 360, "height": 740}
_SCREEN = {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def stocked(tmp_path_factory):
    """A served Kiln with something of everything."""
    with open_stocked(tmp_path_factory.mktemp("stocked") / "data") as (served, _):
        yield served


@pytest.fixture(scope="module")
def visitor(stocked):
    """Somebody who has signed in there."""
    opened = Visitor(stocked.host)
    opened.enter(stocked.access_key_id, stocked.secret)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def found(visitor):
    """The path of a page for each of the table."""
    by_links = ways(visitor, PAGES)
    by_hand = {at: by_links[at.rpartition("/")[0]] + "/" + at.rpartition("/")[2] for at in BY_HAND}
    return {**by_links, **by_hand, "/enter": f"{ROOT}/enter?token=used", "/sign-in": f"{ROOT}/sign-in"}


@pytest.fixture(scope="module")
def opened(browser, stocked, visitor):
    """Opens windows of who has signed in by a link, in that browser; they are kept for all tests here."""
    made = {}
    with contextlib.ExitStack() as stack:

        def signed(at: str, **context):
            signs_in = at not in APART
            kind = (signs_in, *sorted(context))
            if kind not in made:
                made[kind] = stack.enter_context(open_window(browser, stocked.endpoint, viewport=_SCREEN, **context))
                if signs_in:
                    made[kind].page.goto(visitor.link(stocked.access_key_id, stocked.secret))
                    # The link leads on by itself, which would interrupt the way to the next page.
                    made[kind].page.wait_for_url("**/console/")
            return made[kind]

        yield signed


def test_links_lead_to_every_page(found):
    assert sorted(found) == sorted(SHOWN)


@pytest.mark.parametrize("at", SHOWN)
def test_keeps_nobody_out_in_light_or_dark_or_on_a_telephone(opened, found, at):
    page = opened(at).page
    page.goto(found[at])
    page.emulate_media(color_scheme="light")
    in_light = violations(page)
    page.emulate_media(color_scheme="dark")
    in_dark = violations(page, "color-contrast")
    page.set_viewport_size(_PHONE)
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    page.set_viewport_size(_SCREEN)

    assert (in_light, in_dark, wider) == ([], [], 0)
    opened(at).check()


@pytest.mark.parametrize("at", LIGHT)
def test_asks_for_two_things_and_little_in_a_browser_that_has_never_been_here(opened, browser, stocked, found, at):
    session = opened(at).page.context.storage_state()
    with open_window(browser, stocked.endpoint, storage_state=session) as window:
        seen = []
        window.page.on("request", lambda request: seen.append(request))  # noqa: PLW0108 - it takes no builtin.
        window.page.goto(found[at])
        # What tells of changes is no part of the page: it goes on for as long as the page is seen. Nor is what the
        # first page asks for when it is there, since that is counted first.
        later = (f"{stocked.endpoint}{ROOT}{CHANGES}", f"{stocked.endpoint}{ROOT}/storage")
        asked = [one for one in seen if one.url not in later or one.url == f"{stocked.endpoint}{found[at]}"]
        sizes = [one.sizes()["responseBodySize"] for one in asked]

    names = [one.url.rpartition("/")[2] for one in asked[1:]]
    assert asked[0].url == f"{stocked.endpoint}{found[at]}"
    assert names == ([] if at in APART else ["console.js"])
    assert min(sizes) > 0
    assert sum(sizes) < 30 * KiB


@pytest.mark.parametrize("at", BY_TEMPLATE.values(), ids=BY_TEMPLATE)
def test_reads_without_script(opened, found, at):
    page = opened(at, java_script_enabled=False).page
    page.goto(found[at])

    assert page.locator("h1").count() == 1
    assert len(page.locator("main").inner_text()) > 20
    opened(at, java_script_enabled=False).check()
