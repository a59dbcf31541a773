"""Whoever reads how to import learns of every way in which a disk may be packed."""

from __future__ import annotations

import pytest

from kiln.cli.main import load
from kiln.pools import unpacking
from tests.docs.pages import ROOT

_SAID = {"tar": "OVA"}


@pytest.mark.parametrize("kind", sorted({kind for _, _, kind in unpacking._MAGICS}))
def test_is_told_of(kind):
    (file,) = [one for one in load("image").commands["import"].params if one.name == "file"]

    assert _SAID.get(kind, kind) in file.help
    assert _SAID.get(kind, kind) in (ROOT / "docs" / "howto" / "import-and-export.md").read_text()
