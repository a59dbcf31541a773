"""The page of the campaign has all of its sections, in the order in which they are tried."""

from __future__ import annotations

import re

from tests.docs.pages import ROOT
from torment.sections import SECTIONS

PAGE = (ROOT / "docs" / "internals" / "torment.md").read_text()


def test_tells_of_every_section():
    table = PAGE.partition("| Section |")[2].partition("\n\n")[0]

    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(SECTIONS)
