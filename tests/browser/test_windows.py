"""The windows notice what they are there for."""

from __future__ import annotations

import hashlib

import pytest

from tests.browser.windows import AXE, open_window, violations

pytestmark = pytest.mark.browser

ORIGIN = "http://kiln.invalid"
STRICT = {"Content-Security-Policy": "default-src 'self'"}
PAGE = "<!doctype html><html lang=en><title>A page</title><main><h1>A page</h1>{}</main></html>"


def show(window, body: str = "", **headers: str) -> None:
    """Show a page that nobody serves."""
    answer = {"body": PAGE.format(body), "headers": {"Content-Type": "text/html", **headers}}
    window.page.route("**/*", lambda route: route.fulfill(**answer))
    window.page.goto("/")


def test_has_axe_as_it_was_published():
    digest = hashlib.sha256(AXE.read_bytes()).hexdigest()

    assert f"`{digest}`" in (AXE.parent / "README.md").read_text()


def test_nothing_is_wrong_with_a_good_page(browser):
    with open_window(browser, ORIGIN) as window:
        show(window, "<p>Words.</p>", **STRICT)

        assert violations(window.page) == []


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ("<img src=/x>", "image-alt"),
        ("<input>", "label"),
        ("<p style='color:#ccc;background:#fff'>Words.", "color-contrast"),
    ],
)
def test_sees_what_keeps_people_out(browser, body, rule):
    with open_window(browser, ORIGIN) as window:
        show(window, body)

        assert [line.partition(":")[0] for line in violations(window.page)] == [rule]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<p style='color:red'>x", "Content Security Policy"),
        ("<script>1</script>", "Content Security Policy"),
        ("<svg onload='1'></svg>", "Content Security Policy"),
        ("<img src=http://elsewhere.invalid/x alt=x>", "Content Security Policy"),
        ("<script src=/broken></script>", "error of a script"),
    ],
)
def test_what_a_page_complains_of_fails_its_test(browser, body, complaint):
    with pytest.raises(AssertionError, match=complaint), open_window(browser, ORIGIN) as window:
        show(window, body, **STRICT)


def test_asking_somebody_else_fails_its_test(browser):
    with pytest.raises(AssertionError, match=r"asked somebody else: http://elsewhere\.invalid/x"):  # noqa: SIM117
        with open_window(browser, ORIGIN) as window:
            show(window, "<img src=http://elsewhere.invalid/x alt=x>")


def test_a_complaint_that_was_meant_is_forgotten_and_no_other(browser):
    with open_window(browser, ORIGIN) as window:
        show(window, "<p style='color:red'>x", **STRICT)
        window.forget("style")

        with pytest.raises(AssertionError, match="no complaint has 'script'"):
            window.forget("script")
