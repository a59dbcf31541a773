"""The page of layers says what the program does: its drawing, and what each room uses."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache

import pytest

from kiln.cli.main import WORDS
from tests.docs.pages import ROOT
from tests.docs.test_formats import _WRITES

PAGE = (ROOT / "docs" / "internals" / "layers.md").read_text()
SOURCE = ROOT / "src" / "kiln"
ROOMS = sorted(path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file())
_ROW = re.compile(r"^\| `(\w+)` \|(.*)\|$", re.MULTILINE)
_FOLDER = "kiln.service.datafolder"  #: Where things are; who knows only that has asked nothing of the service.


def row(room: str) -> list[str]:
    """Its cells: what it knows, uses, writes and refuses."""
    return next([cell.strip() for cell in found[2].split(" | ")] for found in _ROW.finditer(PAGE) if found[1] == room)


@cache
def imports(room: str) -> dict[str, set[str]]:
    """The modules of ours that each of its modules imports."""
    found: dict[str, set[str]] = {}
    for path in (SOURCE / room).rglob("*.py"):
        name = ".".join(path.relative_to(SOURCE / room).with_suffix("").parts)
        nodes = list(ast.walk(ast.parse(path.read_text())))
        named = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        named |= {f"{n.module}.{one.name}" for n in nodes if isinstance(n, ast.ImportFrom) for one in n.names}
        named |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        found[name] = {one for one in named if one.startswith("kiln.")}
    return found


def test_draws_the_layers_of_the_contract_in_their_order():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["type"] == "layers")
    drawing = PAGE.partition("```\n")[2].partition("```")[0]
    drawn = [
        {name for name in re.findall(r"[a-z]+", line[:34]) if name in ROOMS}
        for line in drawing.splitlines()
        if re.search(r"^ [a-z]", line)
    ]

    assert drawn == [set(re.findall(r"\w+", layer)) for layer in layers]


@pytest.mark.parametrize("room", ROOMS)
def test_says_what_a_room_uses(room):
    used = {name.split(".")[1] for named in imports(room).values() for name in named} - {room}

    assert set(re.findall(r"`(\w+)`", row(room)[1])) == used


@pytest.mark.parametrize("room", ROOMS)
def test_says_which_rooms_write_files(room):
    writes = any(_WRITES.search(path.read_text()) for path in (SOURCE / room).rglob("*.py"))

    assert row(room)[2] == ("yes" if writes else "no")


#: What is of the service's package and asks nothing of it: the settings, and how wide a terminal is.
_NO_SERVICE = ("kiln.service.settings", "kiln.service.terminal")


def test_names_the_words_that_ask_the_service():
    below = {
        name: {one.removeprefix("kiln.cli.") for one in named if one.startswith("kiln.cli.")}
        for name, named in imports("cli").items()
    }
    asking = {
        name
        for name, named in imports("cli").items()
        if any(one.startswith("kiln.service.") and not one.startswith((_FOLDER, *_NO_SERVICE)) for one in named)
    }
    words = {
        word
        for word, said in WORDS.items()
        if {said.module.removeprefix("kiln.cli."), *below[said.module.removeprefix("kiln.cli.")]} & asking
    }

    told = PAGE.partition("## Words on the machine of the service\n")[2].partition("Uploads, ")[0]
    assert set(re.findall(r"`(\w+)`", told)) == words
