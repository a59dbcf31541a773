"""A person with a keyboard and without a mouse."""

from __future__ import annotations

from typing import Any

_MOST_TABS = 150
_FOCUSED = """() => {
  const it = document.activeElement
  if (!it || it === document.body) return ["", true]
  const named = it.labels && it.labels.length ? it.labels[0] : it
  const box = it.getBoundingClientRect(), style = getComputedStyle(it)
  const isSeen = box.width > 0 && box.height > 0 && box.left >= 0 && style.outlineStyle !== "none"
  return [(it.getAttribute("aria-label") || named.innerText || "").trim(), isSeen]
}"""


def tab_to(page: Any, text: str) -> None:
    """Press Tab until what says *text*, or begins with it and a star, has the focus.

    Raises AssertionError when it never has, and when one cannot see on the way where the focus is.
    """
    passed = []
    for _ in range(_MOST_TABS):
        page.keyboard.press("Tab")
        name, is_seen = page.evaluate(_FOCUSED)
        assert is_seen, f"the focus cannot be seen on {name!r}"
        if name in (text, f"{text} *"):
            return
        passed.append(name)
    raise AssertionError(f"Tab never comes to {text!r}, but to {passed}")


def press(page: Any, text: str) -> None:
    """Go to a link or a button and press Enter; the page that follows is there when this returns.

    What is gone from a page that is brought up to date in just that moment is
    pressed no more: who sees that nothing follows goes there once more.
    """
    from playwright.sync_api import TimeoutError as NothingFollowed  # noqa: PLC0415 - as in windows.py.

    for tries_left in (1, 0):
        tab_to(page, text)
        try:
            with page.expect_navigation():
                page.keyboard.press("Enter")
        except NothingFollowed:
            if not tries_left:
                raise
        else:
            return


def type_into(page: Any, label: str, text: str) -> None:
    """Go to the field of that label and type."""
    tab_to(page, label)
    page.keyboard.type(text)
