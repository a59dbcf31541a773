from __future__ import annotations

import pytest

from kiln.ground.units import counted


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (0, ("volume",), "0 volumes"),
        (1, ("volume",), "1 volume"),
        (2, ("volume",), "2 volumes"),
        (1, ("entry", "entries"), "1 entry"),
        (3, ("entry", "entries"), "3 entries"),
    ],
)
def test_says_how_many_there_are(number, words, said):
    assert counted(number, *words) == said
