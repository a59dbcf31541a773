"""What is written about Kiln, taken apart: pages, their links, their examples."""

from __future__ import annotations

import re
import shlex
from itertools import dropwhile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_ASSIGNED = re.compile(r"^\w+=\$\((.*)\)$")


class Example(NamedTuple):
    """A fenced block of a page."""

    page: str
    language: str
    text: str


def examples(language: str) -> list[Example]:
    """Every block of that language."""
    return [
        Example(str(page.relative_to(ROOT)), found[1], found[2])
        for page in PAGES
        for found in _FENCE.finditer(page.read_text())
        if found[1] == language
    ]


def links(page: Path) -> list[str]:
    """Where a page points to, but for other sites."""
    text = _FENCE.sub("", page.read_text())
    return [target for target in _LINK.findall(text) if not target.startswith(("http://", "https://"))]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", _FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


_SETTING = re.compile(r"[A-Z_]+=")  #: Before a command: what its environment has beside ours.


def commands(text: str) -> list[list[str]]:
    """The kiln commands of a shell block, as lists of words; what they are assigned to is left out."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        words = line.partition("  #")[0].strip()
        assigned = _ASSIGNED.match(words)
        words = assigned[1] if assigned else words
        if words.startswith("eval "):
            words = words.partition("$(")[2].partition(")")[0]
        parts = list(dropwhile(_SETTING.match, shlex.split(words)))
        if parts and parts[0].rpartition("/")[2] == "kiln":
            found.append(parts[1:])
    return found
