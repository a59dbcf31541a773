"""Every picture that the browser's story takes is there, and shown where the console is explained."""

from __future__ import annotations

import re

from tests.browser.story import PICTURES
from tests.docs.pages import ROOT


def test_every_picture_is_there_and_shown():
    page = (ROOT / "docs" / "howto" / "console.md").read_text()

    there = {path.stem for path in (ROOT / "docs" / "pictures").glob("*.png")}
    shown = set(re.findall(r"!\[[^\]]+\]\(\.\./pictures/([\w-]+)\.png\)", page))
    assert (there, shown) == (set(PICTURES), set(PICTURES))
