from __future__ import annotations

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_points_to_what_is_there(page):
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


def test_leads_to_every_page_that_is_written_by_hand():
    index = ROOT / "docs" / "index.md"
    reached = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    by_hand = {page for page in PAGES if page.parent.name in ("howto", "internals", "design", "docs")}

    assert by_hand - reached - {index} == set()


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "design").glob("*.md")), ids=lambda page: page.name)
def test_a_design_says_its_state_and_its_shortcomings_first(page):
    lines = page.read_text().splitlines()

    assert lines[2].startswith("Status: ")
    assert lines[3].startswith("Date: ")
    headings = [line for line in lines if line.startswith("## ")]
    assert headings == ["## Shortcomings", "## Decision", "## Refused"]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 77  # Of which two are a picture.
