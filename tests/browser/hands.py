"""How somebody uses a page: with a mouse, or with the keyboard alone. Both do the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiln.console.texts import Texts
from tests.browser.keyboard import press, tab_to, type_into

#: A hand that holds a file, and lets it go over the place for files.
_HOLD = """() => {
  const held = document.createElement("input")
  held.type = "file"
  held.id = "held"
  document.body.append(held)
}"""
_DROP = """() => {
  const moved = new DataTransfer()
  moved.items.add(document.getElementById("held").files[0])
  document.getElementById("files-drop").dispatchEvent(new DragEvent("drop", {dataTransfer: moved, cancelable: true}))
}"""

t = Texts("en")


@dataclass
class Mouse:
    """Clicks, and drags."""

    page: Any

    def press(self, text: str) -> None:
        """The link or the button of that name."""
        named = {"name": text, "exact": True}
        self.page.get_by_role("link", **named).or_(self.page.get_by_role("button", **named)).first.click()

    def fill(self, label: str, text: str) -> None:
        """The field of that label."""
        self.page.get_by_label(label).first.fill(text)

    def choose(self, label: str, value: str) -> None:
        """One of the values that the field of that label has."""
        self.page.get_by_label(label).first.select_option(value)

    def hand_over(self, file: Path) -> None:
        """A file, to the page of files."""
        self.page.evaluate(_HOLD)
        self.page.set_input_files("#held", file)
        self.page.evaluate(_DROP)


@dataclass
class Keyboard:
    """Goes from one thing to the next with Tab, sees on the way where it is, and presses Enter."""

    page: Any
    _held: Path | None = None

    def __post_init__(self) -> None:
        # Said long before a file is asked for: a browser that is only then told to ask us may have asked nobody.
        self.page.on("filechooser", lambda asked: asked.set_files(self._held))

    def press(self, text: str) -> None:
        """The link or the button of that name."""
        press(self.page, text)

    def fill(self, label: str, text: str) -> None:
        """The field of that label; what stood in it is marked by coming to it, and replaced."""
        type_into(self.page, label, text)

    def choose(self, label: str, value: str) -> None:
        """One of the values that the field of that label has, by its beginning."""
        type_into(self.page, label, value)

    def hand_over(self, file: Path) -> None:
        """A file, to the page of files."""
        self._held = file
        tab_to(self.page, t("files.drop"))
        self.page.keyboard.press("Enter")
