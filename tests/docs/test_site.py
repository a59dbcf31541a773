"""The copy of the pages that a site is built of, and, every night, the site."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, links
from tests.tools import lacks
from tools import site


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "pages"
    site.lay_out(folder)
    return folder


def test_has_every_page_and_what_changed_and_how_to_work_on_it(pages):
    there = {str(page.relative_to(pages)) for page in pages.rglob("*.md")}

    written = {str(page.relative_to(site.DOCS)) for page in PAGES if page.is_relative_to(site.DOCS)}
    assert there == written | {"changelog.md", "contributing.md"}


def test_every_link_leads_to_a_page_of_the_site(pages):
    broken = [
        (str(page.relative_to(pages)), link)
        for page in pages.rglob("*.md")
        for link in links(page)
        if not (page.parent / link.partition("#")[0]).is_file() and not link.startswith("#")
    ]

    assert broken == []


def test_the_menu_has_every_page(pages):
    listed = set()
    for menu in site.MENUS:
        for block in re.findall(r"^```\{toctree\}\n(.*?)^```", (pages / menu).read_text(), re.MULTILINE | re.DOTALL):
            names = [line for line in block.splitlines() if not line.startswith(":")]
            listed |= {(pages / menu).parent.joinpath(name).resolve() for name in names}

    assert listed == {page.resolve() for page in pages.rglob("*.md")} - {(pages / "index.md").resolve()}


def test_a_link_to_a_source_is_its_name_and_one_that_leads_nowhere_stays():
    page = site.DOCS / "internals" / "http.md"

    told = site._for_site("[a](../../kiln) [b](../../CHANGELOG.md#x) [c](nowhere.md) [d](../index.md) `[e](f)`", page)

    assert told.startswith("a [b](../changelog.md#x) [c](nowhere.md) [d](../index.md) ")


@pytest.mark.slow
@pytest.mark.nightly
def test_a_heading_that_is_not_there_fails_the_build(tmp_path):
    """Of a checkout with a page that points there; the site itself is built by the launcher."""
    python = ROOT / ".venv-docs" / "bin" / "python"
    if not python.exists():
        lacks("what ./kiln docs installs")
    subprocess.run(["git", "clone", "-q", "--no-local", ROOT, tmp_path / "checkout"], check=True)
    docs = tmp_path / "checkout" / "docs"
    for page in docs.rglob("*.md"):
        if page.name not in ("index.md", "glossary.md"):
            page.unlink()
    (docs / "reference/operations/index.md").unlink()
    (docs / "index.md").write_text("# Kiln\n\n## All\n\n[words](glossary.md#no-such-heading)\n[b](../CHANGELOG.md)\n")

    done = subprocess.run(
        [python, "tools/site.py", tmp_path / "site"],
        cwd=tmp_path / "checkout",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "no-such-heading" in done.stderr
