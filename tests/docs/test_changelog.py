"""What the changelog says stands in it once."""

from __future__ import annotations

from collections import Counter

from tests.docs.pages import ROOT

_LONG = 60  #: Characters; lines that are shorter may be alike by chance, such as the end of a sentence.


def test_has_no_line_twice():
    """A rebase brought back an entry that had been replaced, and the half of another one below it."""
    lines = Counter((ROOT / "CHANGELOG.md").read_text().splitlines())

    assert [line for line, times in lines.items() if times > 1 and len(line) > _LONG] == []
