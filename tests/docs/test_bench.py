"""The page of the bench has all of its sections, in the order in which they are measured."""

from __future__ import annotations

import re

from bench.sections import SECTIONS
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "internals" / "bench.md").read_text()


def test_tells_of_every_section():
    table = PAGE.partition("| Section |")[2].partition("\n\n")[0]

    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(SECTIONS)
