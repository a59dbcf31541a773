"""Each promise about a cluster names a test that there is."""

from __future__ import annotations

import ast
import re

import pytest

from kiln.upkeep.moving import MOST_SENT
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs/internals/cluster.md").read_text()
ROWS = re.findall(r"^\| (?!Fault|-)(.*) \|$", PAGE, re.MULTILINE)
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_is_named_is_there(file, name):
    functions = [
        node.name for node in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(node, ast.FunctionDef)
    ]

    assert name in functions


def test_each_row_names_one():
    assert len(ROWS) > 20
    assert [row for row in ROWS if not re.search(r"`tests/[\w/]+\.py::test_\w+`", row.rpartition("|")[2])] == []


@pytest.mark.parametrize("page", ["docs/howto/upgrade-a-cluster.md", "docs/design/0037-guests-that-move.md"])
def test_as_many_guests_go_at_a_time_as_is_said(page):
    told = {"One": 1, "Two": 2, "Three": 3, "Four": 4, "Five": 5, "Six": 6, "Seven": 7, "Eight": 8}

    said = re.findall(r"(\w+) guests (?:leave a host|go) at a time", (ROOT / page).read_text())

    assert [told[one] for one in said] == [MOST_SENT]
