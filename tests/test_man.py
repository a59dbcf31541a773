"""The manual pages that are made of the command line's declarations."""

from __future__ import annotations

import re
import subprocess

import pytest

from kiln.cli.main import WORDS, every_command
from tests.tools import needs
from tools import man, pages

DATE = "2026-11-29"


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return man.build(DATE)


def read(page: str) -> str:
    """A page as a reader of plain text has it, without fonts."""
    text = re.sub(r"\\f[BIR]", "", page)
    for escaped, plain in ((r"\-", "-"), (r"\(aq", "'"), (r"\(ga", "`"), (r"\&", ""), (r"\:", ""), (r"\e", "\\")):
        text = text.replace(escaped, plain)
    return text


def test_there_is_one_of_every_word_and_one_that_leads_to_them(made):
    assert made.keys() == {"kiln.1", *(f"kiln-{word}.1" for word in WORDS)}
    assert [word for word in WORDS if f"kiln-{word}(1)" not in read(made["kiln.1"])] == []


def test_says_all_that_the_reference_says(made):
    for said, command in every_command():
        page = read(made[f"kiln-{said.partition(' ')[0]}.1"])
        assert f"kiln {said}" in page
        for flag in pages.flags(command):
            shown = " ".join(filter(None, [", ".join(flag.spellings), flag.value]))
            assert f"\n{shown}\n" in page, said
        assert all(line in page for line in pages.shown(command).splitlines()), said


def test_neither_mandoc_nor_groff_has_anything_to_say(made, tmp_path):
    needs("mandoc", "groff")
    for name, text in made.items():
        (tmp_path / name).write_text(text)
    files = [tmp_path / name for name in made]

    told = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", *files], capture_output=True, text=True, check=False
    )
    groff = ["groff", "-man", "-ww", "-z", "-K", "utf8", "-T", "utf8", *files]
    warned = subprocess.run(groff, capture_output=True, text=True, check=False)

    assert told.stdout == ""
    assert (warned.returncode, warned.stderr) == (0, "")


def test_what_roff_would_take_for_its_own_stays_text():
    assert man._prose(r".so /etc/passwd `a-b` \n's") == r"\&.so /etc/passwd \fBa\-b\fR \en\(aqs"
