"""The page of a first day is a real terminal's; what was typed there is still understood."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT, commands, examples
from tests.docs.test_examples import understand
from tools.first_day_story import STORIES, Day

PAGE = ROOT / "docs/a-first-day.md"
BLOCKS = [example.text for example in examples("console") if example.page == "docs/a-first-day.md"]
TYPED = re.compile(r"^(kiln|root)@debian:(\S*)[$#] (.*)$", re.MULTILINE)

#: What a newcomer gets wrong on purpose, to see what is said of it.
_WRONG = {"./kiln statsu"}


class Terminal:
    """Takes down what would be typed, and shows nothing but what the story looks for."""

    def __init__(self, typed: list[str]) -> None:
        self.typed = typed

    def run(self, command: str, *, until: str = "") -> list[str]:
        self.typed.append(command)
        return [until] if until else ["As root: apt-get install --no-install-recommends qemu-utils"]

    def type(self, text: str) -> None:
        self.typed.append(text)

    def press(self, *keys: str) -> None:
        pass

    def wait(self, holds) -> None:
        pass

    def folder(self) -> str:
        return "kiln@debian:~/kiln$"

    def line(self) -> int:
        return 0

    def shown(self, first: int) -> list[str]:
        return ["", ""]

    def is_at_prompt(self) -> bool:
        return True


def typed_on_the_page() -> list[str]:
    return [found[3] for block in BLOCKS for found in TYPED.finditer(block)]


def test_shows_what_was_typed():
    assert len(typed_on_the_page()) > 40
    assert "./kiln demo" in typed_on_the_page()


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words, id=" ".join(words))
        for command in dict.fromkeys(typed_on_the_page())
        if command not in _WRONG and not command.endswith("<Tab>")
        for words in commands(command)
    ],
)
def test_what_was_typed_is_still_understood(words):
    understand(words)


def test_only_what_tab_ends_is_not_looked_at():
    unfinished = [command for command in typed_on_the_page() if command.endswith("<Tab>")]

    assert len(unfinished) < 3
    assert [command for command in typed_on_the_page() if command.startswith("./kiln instance ")]


def test_names_files_that_are_there():
    named = set(re.findall(r"`((?:tools|docs|src|tests)/[\w./-]+)`", PAGE.read_text()))
    named |= set(re.findall(r"\b(README\.md|requirements[\w-]*\.lock)\b", PAGE.read_text()))

    assert named >= {"tools/first_day.py", "README.md"}
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_says_which_kiln_it_was_and_names_nobody_s_machine():
    text = PAGE.read_text()

    assert re.search(r"lived both days on \d{4}-\d\d-\d\d with Kiln \d+\.\d+", " ".join(text.split()))
    assert set(re.findall(r"(\w+)@(\w+):", text)) == {("kiln", "debian"), ("root", "debian")}
    assert set(re.findall(r"/(?:home|work|root)/[\w-]*", text)) <= {"/home/kiln", "/root/kiln"}
    assert not re.search(r"(?i)secret +[a-z0-9]", text)


@pytest.mark.parametrize("who", STORIES)
def test_the_story_goes_through_the_readme(who):
    """Told to a terminal that shows nothing, the story still types each line of the README's session."""
    typed: list[str] = []

    day = Day(lambda *_, **__: Terminal(typed), lambda line: line, ROOT, looks_s=0)
    day.tell(STORIES[who])

    session = day.session_of_readme()
    assert len(session) > 5
    start = typed.index(session[0])
    assert typed[start : start + len(session)] == session


def test_the_tool_explains_itself():
    done = subprocess.run(
        [sys.executable, ROOT / "tools/first_day.py", "--help"], capture_output=True, text=True, check=True
    )

    assert "debootstrap" in done.stdout
    assert "FOLDER" in done.stdout
